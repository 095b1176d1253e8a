package actions_test

import (
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
)

// console stands before a rack as Convox's does: HTTPS, a list of racks, and the
// rack behind it for whom has the key. Its list has every rack under one name.
type console struct {
	*httptest.Server
	ca []byte // the certificate, as PEM
}

func startConsole(rack string) (*console, error) {
	u, err := url.Parse(rack)
	if err != nil {
		return nil, err
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: u.Scheme, Host: u.Host})
	proxy.ErrorLog = log.New(io.Discard, "", 0) // clients that are cancelled leave in the middle
	c := &console{}
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/racks" {
			proxy.ServeHTTP(w, r)
			return
		}
		if _, password, _ := r.BasicAuth(); password != key {
			http.Error(w, "invalid authentication", http.StatusUnauthorized)
			return
		}
		io.WriteString(w, `[{"name":"staging","organization":{"name":"acme"}}]`)
	}))
	c.Config.ErrorLog = proxy.ErrorLog
	c.StartTLS()
	c.ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate().Raw})
	return c, nil
}

func (c *console) host() string { return c.Listener.Addr().String() }

func (c *console) close() {
	c.CloseClientConnections()
	c.Close()
}

// gate lets steps of a build wait: they hold as long as their connection to it.
type gate struct {
	net.Listener
	mu   sync.Mutex
	held []net.Conn
}

func openGate(t *testing.T) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{Listener: l}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			g.mu.Lock()
			g.held = append(g.held, conn)
			g.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, conn := range g.held {
			conn.Close()
		}
	})
	return g
}
