//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/convox-ci/convox-ci/bench/rig"
)

// island is a network with nothing in it but a loopback of its own: what runs there
// reaches what was put before it there, under the same addresses, and nothing else.
type island struct{ work chan func() }

// newIsland needs root, as the BuildKit inside convox-ci does.
func newIsland() (*island, error) {
	i := &island{make(chan func())}
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine, and belongs to the island
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			made <- fmt.Errorf("a network of its own: %w", err)
			return
		}
		made <- raiseLoopback()
		for work := range i.work {
			work()
		}
	}()
	return i, <-made
}

// do runs something there. Processes that it starts stay there, as do listeners.
func (i *island) do(work func() error) error {
	done := make(chan error)
	i.work <- func() { done <- work() }
	return <-done
}

// bridge leads what connects to an address there over a link to the same address here.
// The link counts it under a name.
func (i *island) bridge(address string, link *rig.Link, name string) (stop func() error, err error) {
	var l net.Listener
	if err := i.do(func() (err error) { l, err = net.Listen("tcp", address); return err }); err != nil {
		return nil, err
	}
	stop = l.Close
	go carry(link.Before(l, name), address) // ends with Close
	return stop, nil
}

// carry connects all that is accepted to an address.
func carry(l net.Listener, address string) {
	for {
		from, err := l.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", address)
		if err != nil {
			from.Close()
			continue
		}
		go func() {
			io.Copy(to, from)
			to.(*net.TCPConn).CloseWrite()
		}()
		go func() {
			io.Copy(from, to)
			from.Close()
			to.Close()
		}()
	}
}

// raiseLoopback brings up the loopback of the network that the thread is in.
func raiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	r, err := unix.NewIfreq("lo")
	if err == nil {
		r.SetUint16(unix.IFF_UP)
		err = unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
	}
	return errors.Join(err, unix.Close(fd))
}
