package rack

import (
	"errors"
	"io"
	"sync"
	"time"
)

// upload is the body of a request. It keeps the error of reading it, which the
// transport reports as its own and which must not count as a fault of the
// network. The transport may still read while the answer is already there.
type upload struct {
	from   io.ReadCloser
	stall  *time.Timer // runs while the other side is to take more
	mu     sync.Mutex
	closed bool
	err    error
}

// takeTimeout is for the other side to take some of a body: a connection whose
// peer is gone without a word would be written to for ever.
const takeTimeout = 2 * time.Minute

// errNotTaken ends a request whose body is not taken.
var errNotTaken = errors.New("nothing was taken of what is sent")

// watch calls stop when the body is not taken; done ends that.
func (u *upload) watch(stop func(error)) (done func()) {
	u.stall = time.AfterFunc(takeTimeout, func() { stop(errNotTaken) })
	return func() { u.stall.Stop() }
}

func (u *upload) Read(p []byte) (int, error) {
	u.stall.Stop() // what is read may take its time
	n, err := u.from.Read(p)
	if err == nil {
		u.stall.Reset(takeTimeout)
	}
	if err != nil && err != io.EOF {
		u.mu.Lock()
		defer u.mu.Unlock()
		if !u.closed && u.err == nil { // after Close it only says that it was closed
			u.err = err
		}
	}
	return n, err
}

func (u *upload) Close() error {
	u.mu.Lock()
	u.closed = true
	u.mu.Unlock()
	return u.from.Close()
}

// fault is the error of reading the body, nil if it could be read.
func (u *upload) fault() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}
