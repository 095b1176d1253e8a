package workflow

import (
	"bytes"
	"strings"
)

const (
	tailLines = 20      // of a log that say why a build failed; a fault of a compiler fits
	tailBytes = 3 << 10 // so that they fit into one annotation, whose limit is 4096 characters
)

// tail keeps the last lines written to it.
type tail struct{ kept []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - 2*tailBytes; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(p), nil
}

// String gives whole lines, without the newline at the end.
func (t *tail) String() string {
	text := bytes.TrimRight(t.kept, "\n")
	if over := len(text) - tailBytes; over > 0 {
		text = text[over:]
		text = text[bytes.IndexByte(text, '\n')+1:]
	}
	lines := strings.Split(strings.ToValidUTF8(string(text), "\uFFFD"), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}
