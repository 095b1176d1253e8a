package embedded_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/image/buildkit/embedded"
)

// TestFastSteps has a step print faster, and more, than BuildKit keeps by itself.
func TestFastSteps(t *testing.T) {
	b := start(t, embedded.Options{Root: t.TempDir()})
	const lines = 60_000
	log, _ := b.mustBuild(t, fmt.Sprintf("FROM scratch\nCOPY step /step\nRUN [\"/step\", \"lines\", \"%d\"]\n", lines))
	at := 0
	for line := range strings.Lines(log) {
		if _, text, ok := strings.Cut(line, " this is line "); ok {
			if at++; text != fmt.Sprintf("%d of very many of them\n", at) {
				t.Fatalf("line %d is %q", at, line)
			}
		}
	}
	if at != lines {
		t.Errorf("%d lines, want %d; the log ends with %q", at, lines, log[max(0, len(log)-300):])
	}
}
