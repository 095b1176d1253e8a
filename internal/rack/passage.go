package rack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	// refusedPrefix begins the text by which a rack reports a fault, after the
	// 101 or after output. A build's log may have such lines of its own.
	refusedPrefix = "ERROR: "
	maxRefusal    = 16 << 10 // bytes of a message that may still be such a report, which is a line
)

// errRefused: the rack answered a stream with a fault and nothing else.
var errRefused = errors.New("refused by the rack")

// passage is one stream of a log on its way into the tail. A message that may
// be a fault is held back: if another one follows it was log, and if it was the
// last one the stored log will tell. Written at once, a fault would stand for as
// many bytes of the log, which would then be skipped. In a stored log only the
// first message may be one.
type passage struct {
	tail     *tail
	stored   bool        // the build has ended: nothing else will tell
	stall    *time.Timer // runs while the stream is waited for; nil if it may be silent
	at       int64       // place in the log of the next byte from this stream
	begun    bool        // a message has begun, and none of its bytes came yet
	deciding bool        // all of the message is held so far
	held     []byte
}

// Write takes a piece of a message.
func (p *passage) Write(b []byte) (int, error) {
	if p.stall != nil {
		p.stall.Stop() // the place that the log is copied to may take its time
		defer p.stall.Reset(stallTimeout)
	}
	if p.begun {
		if err := p.release(); err != nil {
			return 0, err
		}
		p.begun, p.deciding = false, !p.stored || p.at == 0
	}
	if !p.deciding {
		return len(b), p.write(b)
	}
	p.held = append(p.held, b...)
	if mayBeFault(p.held) {
		return len(b), nil
	}
	p.deciding = false
	return len(b), p.release()
}

func mayBeFault(b []byte) bool {
	n := min(len(b), len(refusedPrefix))
	return len(b) <= maxRefusal && string(b[:n]) == refusedPrefix[:n]
}

// end is called when the rack ends the stream.
func (p *passage) end() error {
	if !bytes.HasPrefix(p.held, []byte(refusedPrefix)) {
		return p.release()
	}
	switch {
	case p.stored && p.tail.seen == 0:
		return p.release() // all the log there is
	case p.at == 0:
		return fmt.Errorf("%w: %s", errRefused, message(bytes.TrimPrefix(p.held, []byte(refusedPrefix))))
	case p.at == p.tail.seen:
		p.tail.spare = p.held
	}
	return nil
}

// release writes what was held back.
func (p *passage) release() error {
	held := p.held
	p.held = nil
	return p.write(held)
}

// write copies the part of b that the tail has not seen yet.
func (p *passage) write(b []byte) error {
	begin := p.at
	p.at += int64(len(b))
	skip := max(p.tail.seen-begin, 0)
	if skip >= int64(len(b)) {
		return nil
	}
	n, err := p.tail.out.Write(b[skip:])
	p.tail.seen += int64(n)
	p.tail.spare = nil
	if err == nil && n < len(b[skip:]) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return &writeError{err}
	}
	return nil
}
