package workflow

import (
	"fmt"
	"strings"
	"testing"
)

func TestTailKeepsWholeLastLines(t *testing.T) {
	var last tail
	for i := range 1000 {
		fmt.Fprintf(&last, "line %d\n", i)
	}
	lines := strings.Split(last.String(), "\n")
	if len(lines) != tailLines || lines[0] != "line 980" || lines[tailLines-1] != "line 999" {
		t.Errorf("got %d lines, %q to %q", len(lines), lines[0], lines[len(lines)-1])
	}
}

func TestTailOfLongLinesFitsAnAnnotation(t *testing.T) {
	var last tail
	for range 100 {
		fmt.Fprintln(&last, strings.Repeat("é", 500))
	}
	got := last.String()
	if len(got) == 0 || len(got) > tailBytes || !strings.HasPrefix(got, "é") {
		t.Errorf("%d bytes that begin with %q", len(got), got[:min(8, len(got))])
	}
}

func TestTailOfOneEndlessLine(t *testing.T) {
	var last tail
	fmt.Fprint(&last, strings.Repeat("x", 100_000))
	if got := last.String(); len(got) == 0 || len(got) > tailBytes {
		t.Errorf("%d bytes", len(got))
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 bytes", 1023: "1023 bytes", 1024: "1.0 KB", 5 << 20: "5.0 MB", 3 << 29: "1.5 GB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) is %q, want %q", n, got, want)
		}
	}
}
