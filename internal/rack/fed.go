package rack

import (
	"io"
	"sync"
)

// fed is input on its way to a command, and remembers whether there was any: the
// rack ends that of a command whose stream breaks, which looks to the command like
// all of it.
type fed struct {
	from  io.Reader // nil: there is none
	mu    sync.Mutex
	some  bool // some of it was read
	ended bool // all of it was read
}

func (f *fed) Read(p []byte) (n int, err error) {
	err = io.EOF
	if f.from != nil {
		n, err = f.from.Read(p)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.some, f.ended = f.some || n > 0, f.ended || err != nil
	return n, err
}

// none tells whether it is known that there is nothing to read.
func (f *fed) none() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.from == nil || f.ended && !f.some
}
