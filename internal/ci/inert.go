package ci

import (
	"bytes"
	"slices"
	"strings"
)

// grammar is how a CI system finds commands in the text of a log.
type grammar struct {
	marks  []string // begin a command wherever they stand in a line
	colons bool     // two colons do, at the start of a line and after blanks
	heads  string   // three of one of these do at the start of a line, and not four
}

// longestMark is the length in bytes of the longest mark there is.
const longestMark = len("section_start:")

// inert rewrites text so that a CI system finds no command in it, with a visible
// backslash that keeps it readable: before the last byte of a mark ("##["
// becomes `##\[`), before the second colon, and behind three heads. Control
// sequences other than colours do not go through, nor control characters, and a
// carriage return that does not belong to a line end becomes one: with them text
// could be put at the start of a line that stands elsewhere, or over other text.
//
// It decides at each byte, so nothing that can be seen is held back and nothing
// depends on how text is cut into writes. Colours count for nothing: some
// systems take them out before they look.
type inert struct {
	grammar
	within [256]bool // bytes that need no look within a line,
	atHead [256]bool // and those that need none at its start either

	sequence sequence
	cr       bool // a carriage return is held back
	c2       bool // the last byte shown was the first of a C1 control character

	tail   []byte // end of the line so far, in which a mark may have begun
	inLine bool   // nothing that comes can belong to the start of the line any more
	colon  bool   // the line is one colon so far
	head   byte   // the line is this so far,
	run    int    // so many times
}

// newInert returns an inert for a system, at the start of a line.
func newInert(g grammar) *inert {
	t := &inert{grammar: g}
	for i := range t.within {
		t.within[i] = !isControl(byte(i)) && i != 0xc2
	}
	for _, m := range g.marks {
		t.within[m[len(m)-1]] = false
	}
	for i, dull := range t.within {
		t.begin(byte(i))
		t.atHead[i] = dull && t.inLine
		t.beginLine()
	}
	return t
}

// isControl tells C0 control characters and DEL; a tab is none.
func isControl(b byte) bool { return b < ' ' && b != '\t' || b == 0x7f }

// append appends p, made harmless, to dst. Most of a log is lines of which only
// the ends matter, so these go at once.
func (t *inert) append(dst, p []byte) []byte {
	dst = slices.Grow(dst, len(p))
	for len(p) > 0 {
		n := t.dull(p)
		switch {
		case n == 0:
			dst = t.read(dst, p[0])
			n = 1
		case n < len(p) && p[n] == '\n':
			n++
			dst = append(dst, p[:n]...)
			t.beginLine()
		default:
			dst = append(dst, p[:n]...)
			t.remember(p[:n])
		}
		p = p[n:]
	}
	return dst
}

// dull is how many bytes p begins with that change nothing: most of a line.
func (t *inert) dull(p []byte) int {
	if t.cr || t.c2 || t.sequence.is != none {
		return 0
	}
	if !t.inLine {
		if t.colon || t.run > 0 || !t.atHead[p[0]] {
			return 0
		}
		t.inLine = true
	}
	for i, b := range p {
		if !t.within[b] {
			return i
		}
	}
	return len(p)
}

// beginLine forgets the line so far.
func (t *inert) beginLine() { t.tail, t.inLine, t.colon, t.run = t.tail[:0], false, false, 0 }

// endLine returns what ends the open line, and begins a new one. What is held
// back is forgotten: it is nothing that can be seen.
func (t *inert) endLine() []byte {
	t.sequence, t.cr = sequence{}, false
	return t.show(nil, '\n')
}

// read takes one byte.
func (t *inert) read(dst []byte, b byte) []byte {
	colour, taken := t.sequence.read(b)
	switch {
	case colour != nil:
		return append(t.settle(dst, 0), colour...)
	case taken:
		return dst
	case b == '\r':
		dst = t.settle(dst, b)
		t.cr = true
		return dst
	case isControl(b) && b != '\n', t.c2 && b >= 0x80 && b < 0xa0:
		return dst
	}
	return t.show(t.settle(dst, b), b)
}

// settle lets a carriage return go, now that it is known what follows it.
func (t *inert) settle(dst []byte, next byte) []byte {
	switch {
	case !t.cr:
		return dst
	case next == '\n':
		dst = t.show(dst, '\r')
	default:
		dst = t.show(dst, '\n')
	}
	t.cr = false
	return dst
}

// show appends a byte that is text, with a backslash before it where it would
// make a command.
func (t *inert) show(dst []byte, b byte) []byte {
	if t.completes(b) {
		dst = append(dst, '\\')
		t.remember([]byte{'\\'})
	}
	t.c2 = b == 0xc2
	if b == '\n' {
		t.beginLine()
		return append(dst, b)
	}
	t.remember([]byte{b})
	t.begin(b)
	return append(dst, b)
}

// completes tells whether b would make a command of the line so far.
func (t *inert) completes(b byte) bool {
	if t.colon && b == ':' || t.run == 3 && b != t.head {
		return true
	}
	return slices.ContainsFunc(t.marks, func(m string) bool {
		last := len(m) - 1
		return m[last] == b && bytes.HasSuffix(t.tail, []byte(m[:last]))
	})
}

// begin notes what may make a command at the start of a line. Bytes outside
// ASCII count as blanks before colons, as some of them are to GitHub's runner.
func (t *inert) begin(b byte) {
	switch {
	case t.inLine, t.colons && (b <= ' ' || b >= 0x7f):
	case t.colons && b == ':' && !t.colon:
		t.colon = true
	case t.run == 0 && strings.IndexByte(t.heads, b) >= 0, t.run > 0 && t.run < 3 && b == t.head:
		t.head = b
		t.run++
	default:
		t.inLine, t.colon, t.run = true, false, 0
	}
}

// remember keeps the end of the line as far as a mark may need it.
func (t *inert) remember(p []byte) {
	if len(t.marks) == 0 {
		return
	}
	const limit = longestMark - 1
	p = p[max(0, len(p)-limit):]
	over := max(0, len(t.tail)+len(p)-limit)
	t.tail = append(append(t.tail[:0], t.tail[over:]...), p...)
}

// harmless returns text of one line as a person may read it in a command: with
// blanks in place of line ends, and without what a system takes for a command.
func (g grammar) harmless(text string) string {
	line := strings.Join(strings.Fields(text), " ")
	return string(newInert(g).append(nil, []byte(line)))
}
