package rack

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// filtered is what becomes of a stream whose pieces end where cuts says.
type filtered struct {
	status int
	fault  string
	ok     bool
	out    string
}

func filterPieces(t *testing.T, text string, cut bool, sizes []byte) filtered {
	t.Helper()
	var out bytes.Buffer
	f := &exitFilter{out: &out}
	for i := 0; len(text) > 0; i++ {
		n := len(text)
		if len(sizes) > 0 {
			n = min(int(sizes[i%len(sizes)])+1, n)
		}
		if _, err := f.Write([]byte(text[:n])); err != nil {
			t.Fatal(err)
		}
		text = text[n:]
	}
	var got filtered
	var err error
	got.status, got.fault, got.ok, err = f.end(cut)
	if err != nil {
		t.Fatal(err)
	}
	got.out = out.String()
	return got
}

// filterWhole is the same with all of the text in hand: the line is the last one
// with the prefix, or the last but one where a fault of the rack is the last.
func filterWhole(text string, cut bool) filtered {
	at := strings.LastIndex(text, ExitPrefix)
	if at < 0 || cut && !strings.HasSuffix(text, "\n") || len(text)-at > maxExitLine {
		return filtered{out: text}
	}
	line, fault, more := strings.Cut(text[at+len(ExitPrefix):], "\n")
	status, digits := 0, strings.TrimPrefix(line, "-")
	for _, d := range digits {
		if d < '0' || d > '9' {
			return filtered{out: text}
		}
		status = status*10 + int(d-'0')
	}
	if digits == "" || len(digits) > 9 {
		return filtered{out: text}
	}
	if line != digits {
		status = -status
	}
	fault, ended := strings.CutSuffix(fault, "\n")
	words, is := strings.CutPrefix(fault, refusedPrefix)
	if more && (fault != "" || ended) && (!is || strings.Contains(words, "\n")) {
		return filtered{out: text}
	}
	return filtered{status: status, fault: message([]byte(words)), ok: true, out: text[:at]}
}

// TestExitLine: the forms that racks have for the end of a command.
func TestExitLine(t *testing.T) {
	for _, test := range []struct {
		text string
		cut  bool
		want filtered
	}{
		{"hello\n" + ExitPrefix + "3\n", false, filtered{status: 3, ok: true, out: "hello\n"}},
		{ExitPrefix + "0\n", false, filtered{ok: true}},
		{"no newline" + ExitPrefix + "0", false, filtered{ok: true, out: "no newline"}},
		{ExitPrefix + "-1\n", false, filtered{status: -1, ok: true}},
		{"x" + ExitPrefix + "0\nERROR: no such process\n", false, filtered{fault: "no such process", ok: true, out: "x"}},
		{ExitPrefix + "0\nmore\n", false, filtered{out: ExitPrefix + "0\nmore\n"}},
		{ExitPrefix + "0\nERROR: a line of the command\n" + ExitPrefix + "7\n", false, filtered{status: 7, ok: true, out: ExitPrefix + "0\nERROR: a line of the command\n"}},
		{ExitPrefix + "5\n" + ExitPrefix + "0\n", false, filtered{ok: true, out: ExitPrefix + "5\n"}},
		{ExitPrefix + "\n", false, filtered{out: ExitPrefix + "\n"}},
		{ExitPrefix + "1234567890\n", false, filtered{out: ExitPrefix + "1234567890\n"}},
		{ExitPrefix[:20], false, filtered{out: ExitPrefix[:20]}},
		{ExitPrefix + "13", true, filtered{out: ExitPrefix + "13"}}, // of 137
		{ExitPrefix + "137\n", true, filtered{status: 137, ok: true}},
		{"", true, filtered{}},
	} {
		for _, sizes := range [][]byte{nil, {0}, {6}, {35, 1}} {
			if got := filterPieces(t, test.text, test.cut, sizes); got != test.want {
				t.Errorf("%q in pieces of %v: %+v, want %+v", test.text, sizes, got, test.want)
			}
			if got := filterWhole(test.text, test.cut); got != test.want {
				t.Errorf("%q at once: %+v, want %+v", test.text, got, test.want)
			}
		}
	}
}

// TestExitLineKeepsLittle: what can be no line any more is shown at once, and
// what may be one is bounded.
func TestExitLineKeepsLittle(t *testing.T) {
	var out bytes.Buffer
	f := &exitFilter{out: &out}
	io.WriteString(f, "a prompt: ")
	if out.String() != "a prompt: " {
		t.Errorf("of a prompt %q is shown", out.String())
	}
	io.WriteString(f, ExitPrefix+"0\n"+refusedPrefix+strings.Repeat("x", maxExitLine))
	if len(f.held) > len(ExitPrefix) {
		t.Errorf("%d bytes are held back", len(f.held))
	}
}

// TestExitFilterWithoutRoom: the fault of the place that output goes to is ours.
func TestExitFilterWithoutRoom(t *testing.T) {
	full := errors.New("full")
	for _, text := range []string{"output", ExitPrefix + "x", "x"} {
		r, w := io.Pipe()
		r.CloseWithError(full)
		_, err := (&exitFilter{out: w}).Write([]byte(text))
		if !errors.Is(ours(err), full) {
			t.Errorf("%q: %v", text, err)
		}
	}
	r, w := io.Pipe()
	r.CloseWithError(full)
	f := &exitFilter{out: w}
	if _, err := f.Write([]byte(ExitPrefix[:5])); err != nil {
		t.Errorf("held back: %v", err)
	}
	if _, _, _, err := f.end(false); !errors.Is(ours(err), full) {
		t.Errorf("at the end: %v", err)
	}
}

// FuzzExitFilter: whatever the pieces of a stream, what comes out and the status
// are those of the whole text, and output and line together are what went in.
func FuzzExitFilter(f *testing.F) {
	for _, seed := range []string{
		"", "hello\n" + ExitPrefix + "3\n", ExitPrefix + "0\nERROR: gone\n", ExitPrefix + "0" + ExitPrefix + "-12", ExitPrefix[:30] + ExitPrefix + "1\nERR",
		ExitPrefix + "1\n" + ExitPrefix + "0\nERROR: \n", "F1E49A85-F1E49A85-0AD7-4AEF-A618-C249C6E6568D:9\n\n", ExitPrefix + "1\nERROR: a\nb",
	} {
		f.Add(seed, false, []byte{})
		f.Add(seed, true, []byte{0, 3, 40})
	}
	f.Fuzz(func(t *testing.T, text string, cut bool, sizes []byte) {
		got, want := filterPieces(t, text, cut, sizes), filterWhole(text, cut)
		if got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
		line, begins := strings.CutPrefix(text, got.out)
		if !begins || got.ok != strings.HasPrefix(line, ExitPrefix) || !got.ok && line != "" {
			t.Errorf("%q: output %q and line %q", text, got.out, line)
		}
	})
}
