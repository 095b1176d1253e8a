package ci

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync"
)

// stream is the one way out. The runner reads standard output and standard
// error at the same time, so only commands and text on one stream keep their
// order.
type stream struct {
	mu      sync.Mutex
	w       io.Writer
	inert   *inert // nil where the system takes no commands from a log
	midLine bool
	out     []byte // scratch
	err     error  // first error of w, for those who could not be told
}

// Write writes text: it can never be a command.
func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := p
	if s.inert != nil {
		s.out = s.inert.append(s.out[:0], p)
		q = s.out
	}
	if err := s.put(q); err != nil {
		return 0, err
	}
	return len(p), nil
}

// command writes whole lines as they are, after ending the open line.
func (s *stream) command(lines string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := errors.Join(s.endLine(), s.put([]byte(lines)))
	if s.inert != nil {
		*s.inert = inert{}
	}
	return err
}

// freshLine ends the open line, if there is one.
func (s *stream) freshLine() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.endLine()
}

func (s *stream) endLine() error {
	if !s.midLine {
		return nil
	}
	if s.inert != nil {
		*s.inert = inert{}
	}
	return s.put([]byte("\n"))
}

func (s *stream) put(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	s.midLine = !bytes.HasSuffix(p, []byte("\n"))
	_, err := s.w.Write(p)
	if s.err == nil {
		s.err = err
	}
	return err
}

// failure returns the first error of the writer below.
func (s *stream) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// inert rewrites text so that GitHub's runner finds no command in it, with a
// visible backslash that keeps it readable: "##[" becomes `##\[`, because the
// old form of a command counts anywhere in a line and the log viewer gives it
// meaning even while commands are off; "::" at the start of a line, after
// blanks, becomes `:\:`. It decides at the second character, so nothing is held
// back and nothing depends on how text is cut into writes.
//
// A line ends at a carriage return too: the runner reads with .NET's
// StreamReader.ReadLine. Bytes outside ASCII and control characters count as
// blanks, as some of them are to the runner's TrimStart.
//
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
type inert struct {
	hashes int  // "#" just read, at most two
	inLine bool // something other than blanks was read in this line
	colon  bool // the line is one colon so far
}

// append appends p, made harmless, to dst.
func (t *inert) append(dst, p []byte) []byte {
	dst = slices.Grow(dst, len(p))
	for len(p) > 0 {
		n := t.dull(p)
		dst = append(dst, p[:n]...)
		if n == len(p) {
			break
		}
		b := p[n]
		if b == '[' && t.hashes == 2 || b == ':' && t.colon {
			dst = append(dst, '\\')
		}
		dst = append(dst, b)
		t.read(b)
		p = p[n+1:]
	}
	return dst
}

// dull is how many bytes p begins with that change nothing: most of a line.
func (t *inert) dull(p []byte) int {
	if !t.inLine || t.hashes > 0 {
		return 0
	}
	if n := bytes.IndexAny(p, "#\n\r"); n >= 0 {
		return n
	}
	return len(p)
}

func (t *inert) read(b byte) {
	switch {
	case b != '#':
		t.hashes = 0
	case t.hashes < 2:
		t.hashes++
	}
	switch {
	case b == '\n' || b == '\r':
		t.inLine, t.colon = false, false
	case t.inLine || b <= ' ' || b >= 0x7f:
	case b == ':' && !t.colon:
		t.colon = true
	default:
		t.inLine, t.colon = true, false
	}
}
