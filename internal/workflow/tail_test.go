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

// TestTailNeverBeginsWithinALine: a secret that is cut in two is not masked.
func TestTailNeverBeginsWithinALine(t *testing.T) {
	for _, before := range []int{5000, 2*tailBytes - 5, 100_000} {
		for _, after := range []int{0, 10, tailBytes - 5, 2*tailBytes - 5} {
			var last tail
			fmt.Fprint(&last, strings.Repeat("x", before), "SECRET", strings.Repeat("y", after), strings.Repeat("\n", before%7))
			if got := last.String(); got != "" && !strings.HasPrefix(got, "x") {
				t.Errorf("%d before, %d after: begins with %q", before, after, got[:min(8, len(got))])
			}
			fmt.Fprint(&last, "\nlast")
			if got := last.String(); !strings.HasSuffix(got, "last") {
				t.Errorf("%d before, %d after: ends with %q", before, after, got)
			}
		}
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 bytes", 1023: "1023 bytes", 1024: "1.0 KB", 5 << 20: "5.0 MB", 3 << 29: "1.5 GB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) is %q, want %q", n, got, want)
		}
	}
}
