//go:build unix

package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/rackd/disk"
)

// downtime is from the end of a rack to the next one over the same stores.
const downtime = 5 * time.Second

// lab is an embedded rack in memory that can be restarted, and what was asked
// of it.
type lab struct {
	t      testing.TB
	dir    string
	store  *disk.Store
	shells *shells
	busy   sync.WaitGroup // racks, and what they have under way
	coming sync.WaitGroup // racks that are to start

	mu      sync.Mutex
	up      *listener // nil while there is no rack
	arrived map[string]int
}

// newLab starts a rack that has the app web.
func newLab(t testing.TB, bare bool) *lab {
	t.Helper()
	dir := t.TempDir()
	store, err := disk.Open(filepath.Join(dir, "data"), "the test")
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, dir: dir, store: store, arrived: map[string]int{}}
	l.shells = &shells{dir: filepath.Join(dir, "tmp"), env: []string{"RAN=" + l.ranFile()}, bare: bare, of: map[string]map[int]bool{}}
	l.start()
	t.Cleanup(func() {
		l.coming.Wait()
		l.stop()
		l.busy.Wait()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := store.SwapApp(t.Context(), rack.App{}, rack.App{Name: "web", Generation: "2", Status: rack.AppRunning}); err != nil {
		t.Fatal(err)
	}
	return l
}

// listener is where one rack listens.
type listener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
	close func()
	mu    sync.Mutex
	open  []net.Conn
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *listener) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "memory"} }

// cut breaks all connections.
func (l *listener) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.open {
		c.Close()
	}
}

// start starts a rack over the stores.
func (l *lab) start() {
	server, err := rackd.New(l.t.Context(), rackd.Config{
		Name: "local", Registry: "127.0.0.1:5000", Spool: filepath.Join(l.dir, "spool"), Containers: l.shells,
		Stores: l.store.Stores(),
		Baker:  &bake.Baker{Builder: talker{}, Registry: nowhere{}},
	})
	if err != nil {
		l.t.Error(err)
		return
	}
	up := &listener{conns: make(chan net.Conn), done: make(chan struct{})}
	handler := server.Handler()
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.busy.Add(1)
		defer l.busy.Done()
		l.count(r)
		handler.ServeHTTP(w, r)
	})}
	up.close = func() {
		web.Close()
		up.cut() // those of streams, which the server does not know any more
		server.Close()
	}
	l.busy.Go(func() { web.Serve(up) })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up = up
}

// stop ends the rack, if there is one. As with a process that ends, whatever it
// had under way ends with it.
func (l *lab) stop() {
	l.mu.Lock()
	up := l.up
	l.up = nil
	l.mu.Unlock()
	if up != nil {
		up.close()
	}
}

// restart ends the rack, and has another one begin later.
func (l *lab) restart() {
	l.stop()
	l.coming.Go(func() {
		time.Sleep(downtime)
		l.start()
	})
}

// dial connects to the rack.
func (l *lab) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	l.mu.Lock()
	up := l.up
	l.mu.Unlock()
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	if up == nil {
		return nil, refused
	}
	ours, theirs := net.Pipe()
	up.mu.Lock()
	up.open = append(up.open, theirs)
	up.mu.Unlock()
	select {
	case up.conns <- theirs:
		return ours, nil
	case <-up.done:
		return nil, refused
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// transport is the client's own, over connections in memory that bend has its
// hands in; nil leaves them as they are.
func (l *lab) transport(bend func(net.Conn) net.Conn) *http.Transport {
	tr, err := rack.Transport(rack.TLS{})
	if err != nil {
		l.t.Fatal(err)
	}
	tr.Proxy = nil
	tr.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := l.dial(ctx, network, address)
		if err == nil && bend != nil {
			c = bend(c)
		}
		return c, err
	}
	l.t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// count notes a request that has arrived.
func (l *lab) count(r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	what := r.Method + " " + r.URL.Path
	if strings.HasSuffix(r.URL.Path, "/promote") {
		what = "promote"
	}
	l.arrived[what]++
}

// has tells how often something has arrived.
func (l *lab) has(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.arrived[what]
}

// objects tells under how many keys something was uploaded.
func (l *lab) objects() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for what := range l.arrived {
		if strings.HasPrefix(what, "POST /apps/web/objects/") {
			n++
		}
	}
	return n
}

// ranFile has a line for each time that the command was run.
func (l *lab) ranFile() string { return filepath.Join(l.dir, "ran") }

// ran tells how often the command was run.
func (l *lab) ran() int {
	lines, err := os.ReadFile(l.ranFile())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		l.t.Error(err)
	}
	return strings.Count(string(lines), "\n")
}

// talker is a builder that builds nothing and talks about it for 20 seconds. What
// it says is hard to tell from the words of a rack.
type talker struct{}

func (talker) Build(ctx context.Context, _ image.Spec, log io.Writer) error {
	for i := range 40 {
		if i%8 == 5 {
			fmt.Fprintf(log, "ERROR: %d is a line of the log\n", i)
		} else {
			fmt.Fprintf(log, "#%d ünïcödé\n", i)
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// nowhere is a registry that takes everything.
type nowhere struct{}

func (nowhere) Pull(context.Context, string, string) error { return nil }
func (nowhere) Push(context.Context, string, string) (string, error) {
	return "sha256:" + strings.Repeat("0", 64), nil
}
