package main

import (
	"bytes"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// gateway lets the steps of builds wait for a story: they hold as long as it
// does not close their connections.
type gateway struct {
	listener net.Listener
	mu       sync.Mutex
	held     []net.Conn
	open     bool
}

// gate makes a gate for build steps to hold at, and sets GATE.
func gate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: gate")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	g := &gateway{listener: l}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			g.add(conn)
		}
	}()
	storyOf(ts).gate = g
	ts.Setenv("GATE", l.Addr().String())
}

func (g *gateway) add(conn net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = append(g.held, conn)
	if g.open {
		conn.Close()
	}
}

// release lets all steps go on that hold now or come later.
func (g *gateway) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = true
	for _, conn := range g.held {
		conn.Close()
	}
}

func (g *gateway) close() {
	g.listener.Close()
	g.release()
}

// openGate lets the steps that hold at the gate go on.
func openGate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 || storyOf(ts).gate == nil {
		ts.Fatalf("usage: opengate, after gate")
	}
	storyOf(ts).gate.release()
}

// frontServer is an HTTPS server before a rack.
type frontServer struct {
	*httptest.Server
	promoted atomic.Bool   // a promote went through
	polled   chan struct{} // gets one when an app was shown after that
}

// front puts an HTTPS server with a certificate of its own before the rack that
// RACK_HOST names, sets FRONT to its host and writes the certificate to ca.pem.
// With the argument busy it shows every app as updating, as a rack does whose
// release does not get healthy.
func front(ts *testscript.TestScript, neg bool, args []string) {
	busy := len(args) == 1 && args[0] == "busy"
	if neg || len(args) > 0 && !busy {
		ts.Fatalf("usage: front [busy]")
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: ts.Getenv("RACK_HOST")})
	proxy.ErrorLog = log.New(io.Discard, "", 0) // handshakes are refused and clients leave, on purpose
	f := &frontServer{Server: httptest.NewUnstartedServer(proxy), polled: make(chan struct{}, 1)}
	if busy {
		proxy.ModifyResponse = f.showUpdating
	}
	f.Config.ErrorLog = proxy.ErrorLog
	f.StartTLS()
	storyOf(ts).front = f
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw})
	ts.Check(os.WriteFile(ts.MkAbs("ca.pem"), ca, 0o644))
	ts.Setenv("FRONT", f.Listener.Addr().String())
}

// showUpdating changes what the rack says of an app.
func (f *frontServer) showUpdating(r *http.Response) error {
	switch path := r.Request.URL.Path; {
	case r.Request.Method == http.MethodPost && strings.HasSuffix(path, "/promote"):
		f.promoted.Store(true)
		return nil
	case r.Request.Method != http.MethodGet || strings.Count(path, "/") != 2:
		return nil
	}
	if f.promoted.Load() {
		select {
		case f.polled <- struct{}{}:
		default: // one is enough
		}
	}
	body, err := io.ReadAll(r.Body)
	body = bytes.Replace(body, []byte(`"status": "running"`), []byte(`"status": "updating"`), 1)
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	r.ContentLength = int64(len(body))
	return err
}

func (f *frontServer) close() {
	f.CloseClientConnections()
	f.Close()
}

// polled waits until someone looks at an app through the front after a promote.
func polled(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 || storyOf(ts).front == nil {
		ts.Fatalf("usage: polled, after front busy")
	}
	select {
	case <-storyOf(ts).front.polled:
	case <-time.After(patience):
		ts.Fatalf("nobody looks at the app")
	}
}
