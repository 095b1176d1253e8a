package rack_test

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// key is a password with everything in it that has a meaning in URLs.
const key = "p/w%40d@#! &?=+;:x"

// console is the endpoint that most tests use.
func console(t testing.TB) rack.Endpoint {
	t.Helper()
	e, err := rack.Console("console.invalid", key, "acme/fake")
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// direct is an endpoint over plain HTTP, which tests on in-memory connections need.
func direct(t testing.TB) rack.Endpoint {
	t.Helper()
	e, err := rack.Direct("http://convox:secret-of-the-rack@rack.invalid")
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// notices collects what a client says.
type notices struct {
	mu    sync.Mutex
	lines []string
}

func (n *notices) add(line string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, line)
}

func (n *notices) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.lines)
}

// pipes is a listener whose connections are in memory, so that they may be used
// within a bubble of synctest.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "memory"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.done:
		return nil, &net.OpError{Op: "dial", Err: net.ErrClosed}
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// serve starts an HTTP server in memory and returns the way to it. All it
// started has ended when the test does.
func serve(t testing.TB, h http.Handler) *http.Transport {
	t.Helper()
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	var running sync.WaitGroup
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			running.Add(1)
			defer running.Done()
			h.ServeHTTP(w, r)
		}),
		ConnState: func(_ net.Conn, s http.ConnState) {
			switch s {
			case http.StateNew:
				running.Add(1)
			case http.StateClosed, http.StateHijacked:
				running.Done()
			}
		},
	}
	running.Go(func() { server.Serve(p) })
	tr := &http.Transport{DialContext: p.dial}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		server.Close()
		running.Wait()
	})
	return tr
}

// client is a client of a handler, in memory.
func client(t testing.TB, h http.Handler) (*rack.Client, *notices) {
	t.Helper()
	n := &notices{}
	return rack.New(direct(t), serve(t, h), n.add), n
}

// answer writes JSON, or an error for a status of 400 or more.
func answer(w http.ResponseWriter, status int, v any) {
	if text, ok := v.(string); ok {
		http.Error(w, text, status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

// socket is the server's end of a WebSocket, frame by frame.
type socket struct {
	conn net.Conn
	left chan int64 // gets the number of bytes that the client sent, once it has left
}

// The opcodes of frames: RFC 6455, section 5.2.
const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
)

// handshake accepts a WebSocket as a rack does: before anything is checked.
func handshake(t testing.TB, w http.ResponseWriter, r *http.Request) (net.Conn, io.Reader) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Errorf("taking the connection over: %v", err)
		panic(http.ErrAbortHandler)
	}
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+
		base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n")
	return conn, rw
}

// upgrade makes a WebSocket of which the client's messages are only counted.
func upgrade(t testing.TB, w http.ResponseWriter, r *http.Request) *socket {
	conn, from := handshake(t, w, r)
	s := &socket{conn: conn, left: make(chan int64, 1)}
	go func() {
		n, _ := io.Copy(io.Discard, from)
		s.left <- n
	}()
	return s
}

func head(op byte, fin bool, length int) []byte {
	if fin {
		op |= 0x80
	}
	switch {
	case length < 126:
		return []byte{op, byte(length)}
	case length < 1<<16:
		return binary.BigEndian.AppendUint16([]byte{op, 126}, uint16(length))
	}
	return binary.BigEndian.AppendUint64([]byte{op, 127}, uint64(length))
}

// frame sends a frame; a client that left is no fault.
func (s *socket) frame(op byte, fin bool, payload string) {
	s.conn.Write(append(head(op, fin, len(payload)), payload...))
}

// text sends a message.
func (s *socket) text(payload string) { s.frame(opText, true, payload) }

// end sends the marker and waits, as a rack does, until the client closes.
func (s *socket) end() {
	s.frame(opBinary, true, "")
	s.wait()
}

// wait waits until the client closes, and tells how many bytes it had sent.
func (s *socket) wait() int64 {
	defer s.conn.Close()
	return <-s.left
}

// cut closes the connection without a word.
func (s *socket) cut() { s.conn.Close() }

// safeBuffer is a buffer for several goroutines.
type safeBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
