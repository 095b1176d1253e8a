package storetest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

// bigObject is the size of a large source, in bytes: more than any buffer.
const bigObject = 48 << 20

func put(t *testing.T, s rackd.Stores, app, key, content string) {
	t.Helper()
	if err := s.Objects.PutObject(t.Context(), app, key, strings.NewReader(content)); err != nil {
		t.Fatalf("put %q: %v", key, err)
	}
}

func wantObject(t *testing.T, s rackd.Stores, app, key, want string) {
	t.Helper()
	r, err := s.Objects.OpenObject(t.Context(), app, key)
	if err != nil {
		t.Errorf("open %q: %v", key, err)
		return
	}
	wantContent(t, key, r, want)
}

// wantContent reads an open object to its end and closes it.
func wantContent(t *testing.T, key string, r io.ReadCloser, want string) {
	t.Helper()
	got, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Errorf("read %q: %v", key, err)
	}
	if string(got) != want {
		t.Errorf("object %q is %.80q (%d bytes), want %.80q (%d bytes)", key, got, len(got), want, len(want))
	}
}

func wantNoObject(t *testing.T, s rackd.Stores, app, key string) {
	t.Helper()
	r, err := s.Objects.OpenObject(t.Context(), app, key)
	if err == nil {
		r.Close()
	}
	wantKind(t, fmt.Sprintf("object %q of %s", key, app), err, rack.ErrNotFound)
}

func testObjects(t *testing.T, open func() rackd.Stores) {
	s := open()
	wantNoObject(t, s, "web", "a") // nor is the app known at all
	put(t, s, "web", "a", "one")
	wantObject(t, s, "web", "a", "one")
	wantNoObject(t, s, "web", "b")
	wantNoObject(t, s, "other", "a")

	was, err := s.Objects.OpenObject(t.Context(), "web", "a")
	must(t, err)
	put(t, s, "web", "a", "two, longer than one")
	wantObject(t, s, "web", "a", "two, longer than one")
	wantContent(t, "a, opened before it was replaced", was, "one")
	put(t, s, "web", "a", "3")
	wantObject(t, s, "web", "a", "3")
	put(t, s, "other", "a", "another app's")
	wantObject(t, s, "web", "a", "3")

	put(t, s, "web", "empty", "")
	wantObject(t, s, "web", "empty", "")
}

// testKeys stores a different object under each of many keys that something
// on the way may take for the same one, or for more than a key.
func testKeys(t *testing.T, open func() rackd.Stores) {
	s := open()
	long := strings.Repeat("k", rackd.MaxKey-1)
	slashes := strings.Repeat("/", rackd.MaxKey-1)
	keys := []string{
		"a", "a/b", "a/b/c", "a//b", "a/", "b/", "a%2Fb", "a%2fb", "a\\b", "a+b", "a b", "a&b=c?d#e", "a:b", "*", `"`, "\x01", "\n",
		".", "..", "../a", "a/../b", "a/./b", "../../../../etc/passwd", ".hidden", ".partial", "o-a", "..a", "tmp/0123.tgz", "build/BA/logs",
		"ünïcödé/世界", "u\u0308", long + "a", long + "b", slashes + "a", slashes + "b", strings.Repeat("世", rackd.MaxKey/3),
	}
	for _, key := range keys {
		put(t, s, "web", key, "content of "+key)
	}
	for _, key := range keys {
		wantObject(t, s, "web", key, "content of "+key)
		wantNoObject(t, s, "other", key)
	}
	s = open()
	for _, key := range keys {
		wantObject(t, s, "web", key, "content of "+key)
	}
}

func testWholeObjects(t *testing.T, open func() rackd.Stores) {
	s, ctx := open(), t.Context()
	broken := errors.New("the upload broke off")
	half := func() io.Reader {
		return io.MultiReader(strings.NewReader(strings.Repeat("half", 100_000)), iotest.ErrReader(broken))
	}
	wantKind(t, "put of a broken upload", s.Objects.PutObject(ctx, "web", "a", half()), broken)
	wantNoObject(t, s, "web", "a")
	put(t, s, "web", "a", "whole")
	wantKind(t, "put of a broken upload over another", s.Objects.PutObject(ctx, "web", "a", half()), broken)
	wantObject(t, s, "web", "a", "whole")
	wantKind(t, "put of nothing and an error", s.Objects.PutObject(ctx, "web", "a", iotest.ErrReader(broken)), broken)
	wantObject(t, s, "web", "a", "whole")
	s = open()
	wantObject(t, s, "web", "a", "whole")
}

func testLateObjects(t *testing.T, open func() rackd.Stores) {
	s := open()
	r, w := io.Pipe()
	stored := make(chan error, 1)
	go func() { stored <- s.Objects.PutObject(t.Context(), "web", "a", r) }()
	_, err := io.WriteString(w, "first half, ") // returns once it was read
	must(t, err)
	wantNoObject(t, s, "web", "a")
	_, err = io.WriteString(w, "second half")
	must(t, err)
	wantNoObject(t, s, "web", "a")
	must(t, w.Close())
	must(t, <-stored)
	wantObject(t, s, "web", "a", "first half, second half")
}

func testRacingObjects(t *testing.T, open func() rackd.Stores) {
	s, ctx := open(), t.Context()
	content := func(i int) string { return strings.Repeat(string(rune('a'+i)), 200_000+i) }
	must(t, errors.Join(race(func(i int) error {
		return s.Objects.PutObject(ctx, "web", "a", strings.NewReader(content(i)))
	})...))
	r, err := s.Objects.OpenObject(ctx, "web", "a")
	must(t, err)
	got, err := io.ReadAll(r)
	must(t, errors.Join(err, r.Close()))
	if len(got) == 0 || string(got) != content(int(got[0]-'a')) {
		t.Errorf("object is %.20q… (%d bytes), which nobody stored", got, len(got))
	}
}

// pattern is endless content that differs everywhere.
type pattern struct{ n byte }

func (p *pattern) Read(b []byte) (int, error) {
	b = b[:min(len(b), 9973)] // never a multiple of a buffer
	for i := range b {
		p.n = p.n*5 + 17
		b[i] = p.n
	}
	b[0] = byte(len(b))
	return len(b), nil
}

func testBigObjects(t *testing.T, open func() rackd.Stores) {
	s, ctx := open(), t.Context()
	sent, got := sha256.New(), sha256.New()
	must(t, s.Objects.PutObject(ctx, "web", "big", io.TeeReader(io.LimitReader(&pattern{}, bigObject), sent)))
	r, err := s.Objects.OpenObject(ctx, "web", "big")
	must(t, err)
	n, err := io.Copy(got, r)
	must(t, errors.Join(err, r.Close()))
	if n != bigObject || !bytes.Equal(sent.Sum(nil), got.Sum(nil)) {
		t.Errorf("read %d bytes of hash %x, stored %d of %x", n, got.Sum(nil), bigObject, sent.Sum(nil))
	}
}

func testDurableObjects(t *testing.T, open func() rackd.Stores) {
	s := open()
	put(t, s, "web", "a", "one")
	put(t, s, "web", "empty", "")
	s = open()
	wantObject(t, s, "web", "a", "one")
	wantObject(t, s, "web", "empty", "")
	put(t, s, "web", "a", "two")
	wantObject(t, open(), "web", "a", "two")
}

func testListedObjects(t *testing.T, open func() rackd.Stores) {
	s, ctx := open(), t.Context()
	want := func(prefix string, keys ...string) {
		t.Helper()
		got, err := s.Objects.ListObjects(ctx, "web", prefix)
		must(t, err)
		if !slices.Equal(got, keys) {
			t.Errorf("keys that begin with %q are %q, want %q", prefix, got, keys)
		}
	}
	want("")
	for _, key := range []string{"tmp/b", "tmp/a", "tmp/deep/c", "tmp", "ünï code", "build/B/logs"} {
		put(t, s, "web", key, key)
	}
	put(t, s, "other", "tmp/x", "")
	want("tmp/", "tmp/a", "tmp/b")
	want("tmp/a", "tmp/a")
	want("", "tmp", "ünï code")
	want("none/")
	still, err := s.Objects.OpenObject(ctx, "web", "tmp/a")
	must(t, err)
	must(t, s.Objects.RemoveObject(ctx, "web", "tmp/a"))
	wantContent(t, "tmp/a", still, "tmp/a")
	wantKind(t, "again", s.Objects.RemoveObject(ctx, "web", "tmp/a"), rack.ErrNotFound)
	wantKind(t, "of no app", s.Objects.RemoveObject(ctx, "none", "tmp/a"), rack.ErrNotFound)
	s = open()
	wantNoObject(t, s, "web", "tmp/a")
	want("tmp/", "tmp/b")
}
