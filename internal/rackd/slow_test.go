package rackd_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// pipes is a network within a test, whose clock passes as soon as all wait.
type pipes struct {
	dialled chan net.Conn
	closed  chan struct{}
	gone    chan struct{} // told of each connection that the server lets go of
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.dialled:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5080} }

func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.dialled <- &watched{theirs, sync.OnceFunc(func() { p.gone <- struct{}{} })}
	return ours
}

// watched is a connection that tells of its end.
type watched struct {
	net.Conn
	end func()
}

func (w *watched) Close() error {
	w.end()
	return w.Conn.Close()
}

// piped serves a machine over pipes.
func piped(t *testing.T, m *machine) *pipes {
	p := &pipes{make(chan net.Conn), make(chan struct{}), make(chan struct{}, 10)}
	h := &http.Server{Handler: m.server.Handler()}
	go h.Serve(p)
	t.Cleanup(func() { h.Close() })
	return p
}

// A client that stops in the middle of a body is let go of, and nothing is left
// of the body. One that goes on, however slowly, is served.
func TestBodyThatStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := unserved(t, t.TempDir())
		m.addApp("web")
		p := piped(t, m)
		head := "POST /apps/web/objects/a HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n"
		stops, slow := p.dial(), p.dial()
		begun := time.Now()
		m.must(second(io.WriteString(stops, head+"half")))
		m.must(second(io.WriteString(slow, head)))
		go func() {
			for range 20 {
				time.Sleep(119 * time.Second)
				io.WriteString(slow, "x")
			}
		}()
		res, err := http.ReadResponse(bufio.NewReader(stops), nil)
		m.must(err)
		if took := time.Since(begun); res.StatusCode != 500 || took != 2*time.Minute {
			t.Errorf("%s after %v", res.Status, took)
		}
		if _, err := m.stores.Objects.OpenObject(t.Context(), "web", "a"); err == nil {
			t.Error("half of the body was stored")
		}
		res, err = http.ReadResponse(bufio.NewReader(slow), nil)
		m.must(err)
		if res.StatusCode != 200 {
			t.Errorf("the slow one: %s", res.Status)
		}
		stops.Close()
		slow.Close()
	})
}

func second(_ int, err error) error { return err }

// A stream that a client never reads ends after half a minute, and holds nothing
// up.
func TestStreamThatIsNeverRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := unserved(t, t.TempDir())
		m.addApp("web")
		log := strings.Repeat("a line of a log\n", 100_000)
		m.must(m.stores.Objects.PutObject(t.Context(), "web", "build/BA/logs", strings.NewReader(log)))
		b := rack.Build{ID: "BA", App: "web", Status: rack.BuildFailed, Logs: "object://web/build/BA/logs"}
		m.must(m.stores.Builds.SwapBuild(t.Context(), rack.Build{}, b))
		p := piped(t, m)
		c := p.dial()
		m.must(second(io.WriteString(c, "GET /apps/web/builds/BA/logs HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-Websocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\nSec-Websocket-Version: 13\r\n\r\n")))
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		m.must(err)
		if res.StatusCode != http.StatusSwitchingProtocols {
			t.Fatal(res.Status)
		}
		begun := time.Now()
		<-p.gone
		if took := time.Since(begun); took < 30*time.Second || took > time.Minute {
			t.Errorf("let go after %v", took)
		}
		c.Close()
	})
}
