package main

import (
	"net"
	"sync"

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
