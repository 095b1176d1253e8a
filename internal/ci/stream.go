package ci

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

// stream is the one way out. The runner reads standard output and standard
// error at the same time, so only commands and text on one stream keep their
// order.
type stream struct {
	mu      sync.Mutex
	w       io.Writer
	inert   *inert // all text goes through it
	midLine bool
	out     []byte // scratch
	err     error  // first error of w, for those who could not be told
}

// Write writes text: it can never be a command.
func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out = s.inert.append(s.out[:0], p)
	if err := s.put(s.out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// command writes whole lines as they are, after ending the open line.
func (s *stream) command(lines string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.endLine(), s.put([]byte(lines)))
}

// freshLine ends the open line, if there is one.
func (s *stream) freshLine() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.endLine()
}

func (s *stream) endLine() error {
	end := s.inert.endLine()
	if !s.midLine {
		return nil
	}
	return s.put(end)
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
