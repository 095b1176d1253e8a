//go:build unix

package app

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// fault is what goes wrong with a request or with its answer.
type fault struct {
	name    string
	stream  bool                  // possible with a stream only
	answer  func() *http.Response // given in the rack's place, which does not hear of the request
	late    func() *http.Response // given in the place of the rack's, which has done it
	unsent  bool                  // the connection is reset before anything was sent
	damage  damage                // that is done to the rack's answer
	restart bool                  // the rack is restarted when it answers
}

// damage is done to an answer, beginning at a place of it.
type damage struct {
	within bool              // behind the head and some of the body, or some messages of a stream; else nothing passes
	short  int               // so many bytes sooner
	tail   string            // that comes instead of the rest
	ends   func(*bent) error // and what then becomes of the connection
}

// The faults, in the order of the table.
var faults = []fault{
	{name: "reset before the effect", unsent: true},
	{name: "reset after the effect", damage: damage{ends: reset}},
	{name: "429", answer: reply(http.StatusTooManyRequests, "slow down\n")},
	{name: "500", answer: reply(http.StatusInternalServerError, "something is wrong\n")},
	{name: "502", answer: reply(http.StatusBadGateway, page)},
	{name: "503", answer: reply(http.StatusServiceUnavailable, page)},
	{name: "504 after the effect", late: reply(http.StatusGatewayTimeout, page)}, // the balancer did not wait, the rack went on
	{name: "no answer", damage: damage{ends: silent}},
	{name: "truncated body", damage: damage{within: true, short: 1, ends: closed}},
	{name: "garbage", damage: damage{tail: "\x15\x03\x01\x00\x02\x02\x28 no HTTP\r\n\r\n", ends: closed}},
	{name: "page with status 200", answer: reply(http.StatusOK, page)},
	{name: "closed without the end mark", stream: true, damage: damage{within: true, tail: "\x88\x02\x03\xe8", ends: closed}}, // RFC 6455: a close frame, status 1000
	{name: "silent stream", stream: true, damage: damage{within: true, ends: silent}},
	{name: "rack restarted", restart: true},
}

// page is what proxies and portals show to people.
const page = "<!DOCTYPE html>\n<html><head><title>Sorry</title></head><body>This page is for people.</body></html>\n"

// reply makes an answer of something in front of a rack.
func reply(status int, body string) func() *http.Response {
	return func() *http.Response {
		return &http.Response{StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{"Content-Type": {http.DetectContentType([]byte(body))}},
			Body:   io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
	}
}

// The ends of a connection.
func reset(*bent) error  { return &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET} }
func closed(*bent) error { return io.EOF }

// silent goes on taking what the rack sends, as the buffers on a way would, and
// passes nothing on until the client closes.
func silent(b *bent) error {
	io.Copy(io.Discard, b.Conn)
	<-b.left
	return net.ErrClosed
}

// way is the way from a client to the rack of a lab, on which a fault meets the
// first request to a place.
type way struct {
	lab   *lab
	calm  *http.Transport
	fault fault
	place place
	met   atomic.Bool
}

func (w *way) RoundTrip(r *http.Request) (*http.Response, error) {
	if !w.place.is(r, w.lab) || w.met.Swap(true) {
		return w.calm.RoundTrip(r)
	}
	switch {
	case w.fault.answer != nil, w.fault.unsent:
		if r.Body != nil {
			r.Body.Close()
		}
		if w.fault.unsent {
			return nil, &net.OpError{Op: "write", Net: "tcp", Err: syscall.EPIPE}
		}
		return w.fault.answer(), nil
	case w.fault.late != nil:
		res, err := w.calm.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		if w.place.stream {
			res.Body.Read(make([]byte, 1)) // with the first message of a command that has begun
		}
		res.Body.Close()
		return w.fault.late(), nil
	}
	d := w.fault.damage
	if w.fault.restart {
		d = damage{within: w.place.stream, ends: func(b *bent) error { w.lab.restart(); return reset(b) }}
	}
	return w.lab.transport(func(c net.Conn) net.Conn {
		return &bent{Conn: c, damage: d, messages: w.place.messages, left: make(chan struct{})}
	}).RoundTrip(r)
}

// bent is a connection on which damage is done to the answer to one request.
type bent struct {
	net.Conn
	damage
	messages int    // of a stream that pass
	got      []byte // of the answer
	passed   int    // of got
	reached  bool   // the place where the damage begins
	once     sync.Once
	left     chan struct{} // closed with the connection
}

func (b *bent) Close() error {
	b.once.Do(func() { close(b.left) })
	return b.Conn.Close()
}

// Read passes on what comes before the damage. Where nothing does, that has come
// nevertheless: the rack has done what it was asked for.
func (b *bent) Read(p []byte) (int, error) {
	for !b.reached {
		q := make([]byte, 4<<10)
		n, err := b.Conn.Read(q)
		if err != nil {
			return 0, err
		}
		b.got = append(b.got, q[:n]...)
		var until int
		until, b.reached = b.begin()
		if !b.within {
			until = 0
		}
		if b.reached {
			b.got = append(b.got[:until:until], b.tail...)
		}
		if until > b.passed {
			break
		}
	}
	if b.passed < len(b.got) {
		n := copy(p, b.got[b.passed:])
		b.passed += n
		return n, nil
	}
	return 0, b.ends(b)
}

// begin tells how much of what came may pass, and whether the damage begins there.
func (b *bent) begin() (until int, reached bool) {
	head := bytes.Index(b.got, []byte("\r\n\r\n")) + 4
	switch {
	case head < 4:
		return len(b.got), false
	case !bytes.HasPrefix(b.got, []byte("HTTP/1.1 101")):
		return head + 1, len(b.got) > head
	}
	until = head
	for range b.messages {
		n := frame(b.got[until:])
		if n == 0 {
			return until, false
		}
		until += n
	}
	return until - b.short, true
}

// frame is the length of the frame that b begins with, 0 if it is not whole: RFC
// 6455, section 5.2. Those of a server have no mask.
func frame(b []byte) int {
	if len(b) < 4 {
		return 0
	}
	n := 2 + int(b[1])
	if b[1] == 126 {
		n = 4 + int(binary.BigEndian.Uint16(b[2:]))
	}
	if len(b) < n {
		return 0
	}
	return n
}
