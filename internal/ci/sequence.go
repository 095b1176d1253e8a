package ci

import "strings"

// maxColour is the length in bytes from which a control sequence is no colour.
// The longest that programs print set a style and two colours, in 40.
const maxColour = 64

// esc begins a control sequence.
const esc = 0x1b

// kind is what a control sequence is so far.
type kind int

const (
	none    kind = iota // there is none
	escape              // an escape, and what may stand between it and the end
	control             // of the kind that colours are
	text                // with a text of any length, the title of a window for example
)

// sequence reads the control sequences of a terminal, as they are in ECMA-48.
type sequence struct {
	is    kind
	soFar []byte // of one that may be a colour
}

// read takes one byte, and tells whether it belongs to a sequence. If it ends
// one that sets colours or the style of letters, that is returned; others are
// to be left out.
func (s *sequence) read(b byte) (colour []byte, taken bool) {
	switch {
	case b == esc: // whatever it was, another begins
		s.is, s.soFar = escape, append(s.soFar[:0], b)
		return nil, true
	case s.is == escape:
		return nil, s.escape(b)
	case s.is == control:
		return s.control(b)
	case s.is == text && b != '\n' && b != '\r': // a line end says that it was never ended
		if b == 0x07 {
			s.is = none
		}
		return nil, true
	}
	s.is = none
	return nil, false
}

// escape reads what follows an escape.
func (s *sequence) escape(b byte) (taken bool) {
	first := len(s.soFar) == 1
	s.soFar = append(s.soFar[:1], b)
	switch {
	case b >= ' ' && b < '0':
		return true
	case first && b == '[':
		s.is = control
		return true
	case first && strings.IndexByte("]PX^_", b) >= 0:
		s.is = text
		return true
	}
	s.is = none
	return b >= '0' && b < 0x7f
}

// control reads what follows "ESC [".
func (s *sequence) control(b byte) (colour []byte, taken bool) {
	if len(s.soFar) < maxColour {
		s.soFar = append(s.soFar, b)
	}
	switch {
	case b >= ' ' && b < '@':
		return nil, true
	case b < ' ' || b >= 0x7f:
		s.is = none
		return nil, false
	}
	s.is = none
	inside := string(s.soFar[2 : len(s.soFar)-1])
	if b == 'm' && len(s.soFar) < maxColour && strings.Trim(inside, "0123456789;:") == "" {
		return s.soFar, true
	}
	return nil, true
}

// colourLength is how many bytes of a colour p begins with, if all of it is there.
func colourLength(p []byte) int {
	if len(p) < 2 || p[0] != esc || p[1] != '[' {
		return 0
	}
	for i, b := range p[2:min(len(p), maxColour-1)] {
		switch {
		case b == 'm':
			return i + 3
		case b < '0' || b > ';':
			return 0
		}
	}
	return 0
}
