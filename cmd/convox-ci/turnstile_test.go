package main

import (
	"bufio"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
)

// turnstile is passed by the steps of builds, and counts them.
type turnstile struct {
	address string
	opened  chan struct{}
	open    func()
	full    chan struct{} // closed when so many wait as can

	mu      sync.Mutex
	came    []string // names, in their order
	running int
	most    int // that ever ran at once
	places  int
}

// newTurnstile makes one at which so many builds come to wait.
func newTurnstile(t *testing.T, places int) *turnstile {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &turnstile{address: l.Addr().String(), opened: make(chan struct{}), full: make(chan struct{}), places: places}
	s.open = sync.OnceFunc(func() { close(s.opened) })
	t.Cleanup(func() { s.open(); l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.admit(conn)
		}
	}()
	return s
}

// admit lets one pass, and lets go of it when it says that it has left.
func (s *turnstile) admit(conn net.Conn) {
	defer conn.Close()
	lines := bufio.NewReader(conn)
	name, err := lines.ReadString('\n')
	if err != nil {
		return
	}
	s.count(strings.TrimSpace(name), 1)
	defer s.count("", -1) // before the connection is closed, for which the step waits
	<-s.opened
	if _, err := conn.Write([]byte("+")); err == nil {
		lines.ReadString('\n')
	}
}

func (s *turnstile) count(name string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name != "" {
		if s.came = append(s.came, name); len(s.came) == s.places {
			close(s.full)
		}
	}
	s.running += n
	s.most = max(s.most, s.running)
}

// seen tells who came, in order, and how many ran at once at most.
func (s *turnstile) seen() (came []string, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.came), s.most
}
