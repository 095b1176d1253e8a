package rackd

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// readAll reads journals to their end as one log.
func readAll(t *testing.T, w logWish, all ...*journal) string {
	t.Helper()
	r := &lineReader{
		logWish: w, client: t.Context(), rack: context.Background(), news: newNews(), at: map[*journal]int{},
		journals: func() []*journal { return all }, last: func() bool { return true },
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

// FuzzJournal: a journal gives back what was written to it, however it was cut
// into pieces, but for the end of a last line that had none, and the breaks in
// lines that are too long.
func FuzzJournal(f *testing.F) {
	f.Add("one\ntwo\n\nthree", uint16(4))
	f.Add(strings.Repeat("x", maxLine+10)+"\ny", uint16(1000))
	f.Add(strings.Repeat("x", maxLine)+"\n", uint16(1<<15))
	f.Fuzz(func(t *testing.T, text string, size uint16) {
		if len(text) > maxJournal/2 {
			return
		}
		j := newJournal("x", newNews())
		for rest := text; rest != ""; {
			n := min(len(rest), int(size)+1)
			if got, err := j.Write([]byte(rest[:n])); got != n || err != nil {
				t.Fatalf("%d of %d, %v", got, n, err)
			}
			rest = rest[n:]
		}
		j.end()
		var want strings.Builder
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			for len(line) > maxLine {
				want.WriteString(line[:maxLine] + "\n")
				line = line[maxLine:]
			}
			want.WriteString(line + "\n")
		}
		if got := readAll(t, logWish{follow: true}, j); got != want.String() {
			t.Errorf("%d bytes, want %d: %.100q, want %.100q", len(got), want.Len(), got, want.String())
		}
	})
}

// TestJournalKeepsTheLatest and says how much it has dropped.
func TestJournalKeepsTheLatest(t *testing.T) {
	j := newJournal("x", newNews())
	line := strings.Repeat("x", 1<<10-1)
	for range maxJournal>>10 + 100 {
		fmt.Fprintln(j, line)
	}
	fmt.Fprintln(j, "last")
	j.end()
	got := readAll(t, logWish{}, j)
	if j.size > maxJournal || !strings.HasSuffix(got, "\nlast\n") {
		t.Errorf("%d bytes are kept, ending in %q", j.size, got[len(got)-20:])
	}
	first, rest, _ := strings.Cut(got, "\n")
	lost, kept := 0, strings.Count(rest, "\n")
	if _, err := fmt.Sscanf(first, "(%d lines are not kept any more)", &lost); err != nil || lost+kept != maxJournal>>10+101 {
		t.Errorf("%q, then %d lines: %v", first, kept, err)
	}
}

// TestJournalsInOneLog come in the order of time, each line with its source.
func TestJournalsInOneLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newJournal("service/one/a", newNews()), newJournal("service/two/b", newNews())
		begun := time.Now().UTC()
		for i, j := range []*journal{a, b, b, a} {
			fmt.Fprintf(j, "%d\n", i)
			time.Sleep(time.Second)
		}
		at := func(i int) string { return begun.Add(time.Duration(i) * time.Second).Format(time.RFC3339) }
		want := at(0) + " service/one/a 0\n" + at(1) + " service/two/b 1\n" + at(2) + " service/two/b 2\n" + at(3) + " service/one/a 3\n"
		if got := readAll(t, logWish{prefix: true}, a, b); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if got := readAll(t, logWish{since: begun.Add(2 * time.Second)}, a, b); got != "2\n3\n" {
			t.Errorf("since then: %q", got)
		}
	})
}

func TestHeld(t *testing.T) {
	for command, want := range map[string]time.Duration{
		"sleep 3600": time.Hour, " sleep  0 ": 0, "sleep 4294967295": maxHold * time.Second,
		"sleep": -1, "sleep 1h": -1, "sleep 1 2": -1, "sleep -1": -1, "sleep 4294967296": -1, "Sleep 1": -1, "sleep 1; true": -1,
	} {
		if got, ok := held(command); ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: %v, %v", command, got, ok)
		}
	}
}
