//go:build linux

package rig

import (
	"maps"
	"net"
	"sync"
	"time"
)

const (
	linkBuffer = 64 << 10              // bytes that wait in front of a slow link
	linkBurst  = 10 * time.Millisecond // of a link's time that may be caught up with: sleeping is not exact
)

// Link is a way to servers, that takes so many bytes a second in all and counts them.
// What comes back is neither slowed nor counted.
type Link struct {
	rate float64 // bytes a second; 0 for no limit

	mu   sync.Mutex
	free time.Time // when all that was read has crossed the link
	sent map[string]int64
}

// NewLink makes a link of so many Mbit/s; 0 is no limit.
func NewLink(mbits float64) *Link { return &Link{rate: mbits * 1e6 / 8, sent: map[string]int64{}} }

// Sent is how many bytes have crossed the link, by the names that were given to servers.
func (l *Link) Sent() map[string]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.sent)
}

// Before puts the link before a server, under a name that several may share.
func (l *Link) Before(server net.Listener, name string) net.Listener {
	return slowListener{server, l, name}
}

// cross waits until n bytes for a server have crossed.
func (l *Link) cross(name string, n int) {
	l.mu.Lock()
	l.sent[name] += int64(n)
	if l.rate == 0 {
		l.mu.Unlock()
		return
	}
	if idle := time.Now().Add(-linkBurst); l.free.Before(idle) {
		l.free = idle
	}
	l.free = l.free.Add(time.Duration(float64(n) / l.rate * float64(time.Second)))
	free := l.free
	l.mu.Unlock()
	time.Sleep(time.Until(free))
}

// slowListener accepts connections that are read as fast as the link is.
type slowListener struct {
	net.Listener
	link *Link
	name string
}

func (l slowListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &slowConn{c, l.link, l.name}, c.(*net.TCPConn).SetReadBuffer(linkBuffer)
}

type slowConn struct {
	net.Conn
	link *Link
	name string
}

func (c *slowConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p[:min(len(p), linkBuffer)])
	c.link.cross(c.name, n)
	return n, err
}
