package workflow

import (
	"bytes"
	"strings"
)

const (
	tailLines = 20      // of a log that say why a build failed; a fault of a compiler fits
	tailBytes = 3 << 10 // so that they fit into one annotation, whose limit is 4096 characters
)

// tail keeps the last lines written to it. Whole lines only: the rest of one
// could be the rest of a secret, which no mask would know.
type tail struct {
	kept []byte
	cut  bool // kept may begin within a line
}

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - 2*tailBytes; over > 0 {
		t.kept, t.cut = append(t.kept[:0], t.kept[over:]...), true
	}
	return len(p), nil
}

// String gives whole lines, without the newline at the end.
func (t *tail) String() string {
	text, cut := bytes.TrimRight(t.kept, "\n"), t.cut
	if over := len(text) - tailBytes; over > 0 {
		text, cut = text[over:], true
	}
	if cut {
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	lines := strings.Split(strings.ToValidUTF8(string(text), "\uFFFD"), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}
