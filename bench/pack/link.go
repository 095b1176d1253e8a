//go:build linux

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	linkBuffer = 64 << 10              // bytes that wait in front of a slow link
	linkBurst  = 10 * time.Millisecond // of a link's time that may be caught up with: sleeping is not exact
)

// discard serves uploads that go nowhere, over a link of so many Mbit/s; 0 is no limit. The reply is
// how many bytes came.
func discard(mbits float64) (url string, stop func() error, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprint(w, n)
	})}
	url = "http://" + l.Addr().String() + "/object.tgz"
	if mbits > 0 {
		l = slowListener{l, mbits * 1e6 / 8}
	}
	go server.Serve(l) // ends with Close
	return url, server.Close, nil
}

// slowListener accepts connections that are read at so many bytes a second.
type slowListener struct {
	net.Listener
	rate float64
}

func (l slowListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &slowConn{Conn: c, rate: l.rate}, c.(*net.TCPConn).SetReadBuffer(linkBuffer)
}

type slowConn struct {
	net.Conn
	rate float64
	free time.Time // when all that was read has crossed the link
}

func (c *slowConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p[:min(len(p), linkBuffer)])
	if idle := time.Now().Add(-linkBurst); c.free.Before(idle) {
		c.free = idle
	}
	c.free = c.free.Add(time.Duration(float64(n) / c.rate * float64(time.Second)))
	time.Sleep(time.Until(c.free))
	return n, err
}
