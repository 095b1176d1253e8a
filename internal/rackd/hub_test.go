package rackd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func testHub(t *testing.T) *hub {
	t.Helper()
	h, err := newHub(filepath.Join(t.TempDir(), "[spool]*")) // nothing in a name has a meaning
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func begin(t *testing.T, h *hub, build string) *liveLog {
	t.Helper()
	l, err := h.begin(build)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func openLog(ctx context.Context, t *testing.T, h *hub, build string) io.ReadCloser {
	t.Helper()
	r, live, err := h.open(ctx, build)
	if err != nil || !live {
		t.Fatalf("open log: live is %v, %v", live, err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// Readers that come at any time, and read in pieces of any size, get every byte
// once and then the end.
func TestReadersGetEveryByteOnce(t *testing.T) {
	h := testHub(t)
	l := begin(t, h, "BA")
	const readers, writes = 16, 300
	random := rand.New(rand.NewPCG(1, 2))
	var want bytes.Buffer
	got := make([]bytes.Buffer, readers)
	errs := make([]error, readers)
	var all sync.WaitGroup
	for i := range writes {
		if i%(writes/readers) == 0 && i/(writes/readers) < readers {
			n, size := i/(writes/readers), 1+random.IntN(5000)
			r := openLog(t.Context(), t, h, "BA")
			all.Go(func() { _, errs[n] = io.CopyBuffer(struct{ io.Writer }{&got[n]}, r, make([]byte, size)) })
		}
		p := make([]byte, random.IntN(4000)) // an empty one too
		for j := range p {
			p[j] = byte(random.Uint32())
		}
		want.Write(p)
		if n, err := l.Write(p); n != len(p) || err != nil {
			t.Fatalf("write: %d of %d bytes, %v", n, len(p), err)
		}
	}
	h.end("BA")
	all.Wait()
	for i := range readers {
		if errs[i] != nil || !bytes.Equal(got[i].Bytes(), want.Bytes()) {
			t.Errorf("reader %d got %d bytes, want %d: %v", i, got[i].Len(), want.Len(), errs[i])
		}
	}
}

// Several writers may share a log: no piece of one is cut by another.
func TestWritersDoNotMix(t *testing.T) {
	h := testHub(t)
	l := begin(t, h, "BA")
	r := openLog(t.Context(), t, h, "BA")
	var all sync.WaitGroup
	const writers, lines = 8, 50
	for i := range writers {
		line := []byte(strings.Repeat(string(rune('a'+i)), 100) + "\n")
		all.Go(func() {
			for range lines {
				l.Write(line)
			}
		})
	}
	all.Wait()
	h.end("BA")
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for line := range strings.Lines(string(text)) {
		count[line]++
	}
	for line, n := range count {
		if len(line) != 101 || n != lines {
			t.Errorf("%d times %q", n, line)
		}
	}
	if len(count) != writers {
		t.Errorf("%d kinds of lines, want %d", len(count), writers)
	}
}

func TestReaderEndsWithItsContext(t *testing.T) {
	h := testHub(t)
	l := begin(t, h, "BA")
	defer h.end("BA")
	l.Write([]byte("text"))
	gone := errors.New("the client has gone")
	ctx, leave := context.WithCancelCause(t.Context())
	r := openLog(ctx, t, h, "BA")
	p := make([]byte, 100)
	if n, err := r.Read(p); string(p[:n]) != "text" || err != nil {
		t.Errorf("first read: %q, %v", p[:n], err)
	}
	read := make(chan error)
	go func() {
		_, err := r.Read(p)
		read <- err
	}()
	leave(gone)
	if err := <-read; !errors.Is(err, gone) {
		t.Errorf("read after the client left: %v", err)
	}
}

func TestLogsOfTheHub(t *testing.T) {
	h := testHub(t)
	l := begin(t, h, "BA")
	if _, err := h.begin("BA"); !errors.Is(err, os.ErrExist) {
		t.Errorf("second log of a build: %v", err)
	}
	if r, live, err := h.open(t.Context(), "BB"); r != nil || live || err != nil {
		t.Errorf("log that is not there: %v, %v, %v", r, live, err)
	}
	begin(t, h, "BB")
	if left, err := h.left(); err != nil || !slices.Equal(left, []string{"BA", "BB"}) {
		t.Errorf("logs on the disk: %v, %v", left, err)
	}
	late := openLog(t.Context(), t, h, "BA")
	l.Write([]byte("text"))
	h.end("BA")
	h.end("BB")
	if n, err := l.Write([]byte("late")); n != 0 || err == nil {
		t.Errorf("write after the end: %d, %v", n, err)
	}
	if text, err := io.ReadAll(late); string(text) != "text" || err != nil {
		t.Errorf("read after the end: %q, %v", text, err)
	}
	if _, live, err := h.open(t.Context(), "BA"); live || err != nil {
		t.Errorf("log that has ended: live is %v, %v", live, err)
	}
	if left, err := h.left(); err != nil || len(left) != 0 {
		t.Errorf("logs left on the disk: %v, %v", left, err)
	}
}
