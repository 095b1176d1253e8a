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
// becomes `##\[`), before the second colon, and behind three heads.
//
// It decides at each byte, so nothing is held back and nothing depends on how text
// is cut into writes. Colours count for nothing: some systems take them out before
// they look. Text is clean, so that an escape begins nothing else.
type inert struct {
	grammar
	within []byte    // bytes that need a look within a line
	dull   [256]bool // those that need none at its start

	colour bool   // a colour is not ended yet
	tail   []byte // end of the line so far, in which a mark may have begun
	inLine bool   // nothing that comes can belong to the start of the line any more
	colon  bool   // the line is one colon so far
	head   byte   // the line is this so far,
	run    int    // so many times
}

// newInert returns an inert for a system, at the start of a line.
func newInert(g grammar) *inert {
	t := &inert{grammar: g, within: []byte{'\n', esc}}
	for _, m := range g.marks {
		if last := m[len(m)-1]; !bytes.Contains(t.within, []byte{last}) {
			t.within = append(t.within, last)
		}
	}
	for i := range t.dull {
		t.begin(byte(i))
		t.dull[i] = t.inLine && bytes.IndexByte(t.within, byte(i)) < 0
		t.beginLine()
	}
	return t
}

// append appends p, made harmless, to dst. Most of a log is lines of which only
// the ends matter, so these go at once.
func (t *inert) append(dst, p []byte) []byte {
	dst = slices.Grow(dst, len(p))
	for len(p) > 0 {
		n := t.skip(p)
		switch {
		case n == 0:
			if n = colourLength(p); n > 0 && !t.colour {
				dst = append(dst, p[:n]...)
				break
			}
			dst = t.show(dst, p[0])
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

// window is how many bytes are searched at once. Lines are rarely longer, and a long
// one in which much needs a look is not searched to its end each time.
const window = 512

// skip is how many bytes p begins with that change nothing: most of a line.
func (t *inert) skip(p []byte) int {
	if t.colour {
		return 0
	}
	if !t.inLine {
		if t.colon || t.run > 0 || !t.dull[p[0]] {
			return 0
		}
		t.inLine = true
	}
	p = p[:min(len(p), window)]
	for _, b := range t.within {
		if i := bytes.IndexByte(p, b); i >= 0 {
			p = p[:i]
		}
	}
	return len(p)
}

// beginLine forgets the line so far.
func (t *inert) beginLine() { t.tail, t.inLine, t.colon, t.run = t.tail[:0], false, false, 0 }

// endLine returns what ends the open line, and begins a new one.
func (t *inert) endLine() []byte { return t.show(nil, '\n') }

// show appends a byte, with a backslash before it where it would make a command.
func (t *inert) show(dst []byte, b byte) []byte {
	if t.colour = b == esc || t.colour && strings.IndexByte("[0123456789;:m", b) >= 0; t.colour {
		t.colour = b != 'm'
		return append(dst, b)
	}
	if t.completes(b) {
		dst = append(dst, '\\')
		t.remember([]byte{'\\'})
	}
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
	line := strings.Join(strings.Fields(cleaned(text)), " ")
	return string(newInert(g).append(nil, []byte(line)))
}
