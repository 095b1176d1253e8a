package rack

import (
	"io"
	"sync"
)

// upload is the body of a request. It keeps the error of reading it, which the
// transport reports as its own and which must not count as a fault of the
// network. The transport may still read while the answer is already there.
type upload struct {
	from   io.ReadCloser
	mu     sync.Mutex
	closed bool
	err    error
}

func (u *upload) Read(p []byte) (int, error) {
	n, err := u.from.Read(p)
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
