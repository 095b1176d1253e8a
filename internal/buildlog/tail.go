package buildlog

import (
	"bytes"
	"strings"
)

// maxTail is how many bytes are kept: fifty long lines.
const maxTail = 16 << 10

// tail keeps the end of what is added to it.
type tail struct {
	kept []byte
	cut  bool // kept may begin within a line
}

// add lets kept grow to twice of what is wanted before it is cut, so that not
// every byte costs a move of all.
func (t *tail) add(p []byte) {
	if over := len(p) - maxTail; over > 0 {
		t.kept, p, t.cut = t.kept[:0], p[over:], true
	}
	if len(t.kept)+len(p) > 2*maxTail {
		over := len(t.kept) - maxTail
		t.kept, t.cut = append(t.kept[:0], t.kept[over:]...), true
	}
	t.kept = append(t.kept, p...)
}

// last gives whole lines, so many at most, and bytes.
func (t *tail) last(lines, size int) string {
	text, cut := bytes.TrimRight(t.kept, "\n"), t.cut
	if over := len(text) - min(size, maxTail); over > 0 {
		text, cut = text[over:], true
	}
	if cut {
		_, text, _ = bytes.Cut(text, newline)
	}
	all := strings.Split(strings.ToValidUTF8(string(text), "\uFFFD"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
