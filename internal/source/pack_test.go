package source_test

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/convox-ci/convox-ci/internal/source"
	"github.com/google/go-cmp/cmp"
)

// noise returns n bytes that do not compress, the same for one seed.
func noise(seed uint64, n int) string {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b) // never fails
	return string(b)
}

func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	long := strings.Repeat("long/", 40) + strings.Repeat("n", 200)
	grow(t, dir, map[string]string{
		"a.txt":            "a",
		"a/b.txt":          "b",
		"a/z/":             "",
		"none":             "",
		"exact":            noise(1, 256<<10),
		"over":             noise(2, 256<<10+1),
		"big":              noise(3, 5<<20),
		"space and é":      "é",
		"line\nbreak":      "\n",
		"bad\xff\xfe":      "no UTF-8",
		long:               "deep",
		"other/inner/file": "x",
	})
	for name, mode := range map[string]fs.FileMode{"a.txt": 0o751, "none": 0o400, "a/z": 0o700, "a": 0o775} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	packed := pack(t, dir, source.Options{})
	out, got, err := unpack(t, packed, source.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tree(t, dir), tree(t, out)); diff != "" {
		t.Errorf("unpacked tree differs (-packed +unpacked):\n%s", diff)
	}
	if want := (source.Unpacked{Files: 11, Bytes: 19 + 512<<10 + 5<<20}); !cmp.Equal(got, want) {
		t.Errorf("Unpack = %+v, want %+v", got, want)
	}
}

func TestStats(t *testing.T) {
	dir := t.TempDir()
	grow(t, dir, map[string]string{"a": "12345", "b/c": noise(1, 1<<20), "d": "-> a", ".dockerignore": "e", "e": "not counted"})
	var b bytes.Buffer
	got, err := source.Pack(t.Context(), &b, dir, source.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := (source.Stats{Files: 3, Bytes: 6 + 1<<20, Packed: int64(b.Len())}); got != want {
		t.Errorf("Pack = %+v, want %+v", got, want)
	}
}

func TestHeaders(t *testing.T) {
	dir := t.TempDir()
	grow(t, dir, map[string]string{"d/f": "x", "d/up": "-> ../gone", "d.x": "", "d-x": ""})
	if err := os.Chmod(filepath.Join(dir, "d", "f"), 0o4755|fs.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	packed := pack(t, dir, source.Options{})
	epoch := time.Unix(0, 0)
	want := []tar.Header{
		{Typeflag: tar.TypeDir, Name: "d/", Mode: 0o755, ModTime: epoch, Format: tar.FormatUSTAR},
		{Typeflag: tar.TypeReg, Name: "d/f", Mode: 0o755, Size: 1, ModTime: epoch, Format: tar.FormatUSTAR},
		{Typeflag: tar.TypeSymlink, Name: "d/up", Linkname: "../gone", Mode: 0o777, ModTime: epoch, Format: tar.FormatUSTAR},
		{Typeflag: tar.TypeReg, Name: "d-x", Mode: 0o644, ModTime: epoch, Format: tar.FormatUSTAR},
		{Typeflag: tar.TypeReg, Name: "d.x", Mode: 0o644, ModTime: epoch, Format: tar.FormatUSTAR},
	}
	var got []tar.Header
	for _, e := range list(t, packed) {
		got = append(got, e.Header)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if want := []byte("\x1f\x8b\x08\x00"); !bytes.HasPrefix(packed, want) {
		t.Errorf("gzip header %x, want no name and no comment: %x", packed[:10], want)
	}
}

func TestEqualTreesGiveEqualBytes(t *testing.T) {
	files := map[string]string{
		"big": noise(1, 3<<20) + strings.Repeat("text ", 1<<20), ".dockerignore": "*.log\n", "x.log": "1",
		"link": "-> big", "empty/": "",
	}
	for _, n := range []string{"b", "a", "c", "B", "é"} {
		files["dir/"+n] = strings.Repeat(n, 1000)
	}
	one, two := t.TempDir(), t.TempDir()
	grow(t, one, files)
	files["x.log"] = "2"
	grow(t, two, files)
	old := time.Date(1999, 1, 2, 3, 4, 5, 6, time.UTC)
	if err := os.Chtimes(filepath.Join(two, "dir", "a"), old, old); err != nil {
		t.Fatal(err)
	}
	first := pack(t, one, source.Options{})
	for _, procs := range []int{1, 2, 3, 8, 40} {
		before := runtime.GOMAXPROCS(procs)
		got := pack(t, two, source.Options{})
		runtime.GOMAXPROCS(before)
		if !bytes.Equal(first, got) {
			t.Errorf("with %d processors, an equal tree packs to other bytes", procs)
		}
	}
	if err := os.Chmod(filepath.Join(two, "dir", "a"), 0o600); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(first, pack(t, two, source.Options{})) {
		t.Error("another mode packs to the same bytes")
	}
}

func TestHardLinksAreCopies(t *testing.T) {
	dir := t.TempDir()
	grow(t, dir, map[string]string{"a": "content"})
	if err := os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	for _, e := range list(t, pack(t, dir, source.Options{})) {
		if e.Header.Typeflag != tar.TypeReg || e.Content != "content" {
			t.Errorf("%s: type %q, content %q", e.Header.Name, e.Header.Typeflag, e.Content)
		}
	}
}

func TestWarnings(t *testing.T) {
	dir, err := os.MkdirTemp("", "s") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	outside := t.TempDir()
	grow(t, outside, map[string]string{"secret": "s"})
	grow(t, dir, map[string]string{
		"f": "", "to-file": "-> f", "dangling": "-> gone", "absolute": "-> /etc/passwd", "to-folder": "-> " + outside,
		"a\n::b": "-> f", "loop": "-> loop", "ignored": "-> f", ".dockerignore": "ignored",
	})
	socket, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	var got []string
	packed := pack(t, dir, source.Options{Warn: func(text string) { got = append(got, text) }})
	want := []string{
		`symbolic links are sent, but a Rack does not restore them: "a\n::b", "absolute", "dangling", "loop", "to-file" and 1 more`,
		`sockets, pipes and devices are left out: "socket"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	wantNames := []string{".dockerignore", "a\n::b", "absolute", "dangling", "f", "loop", "to-file", "to-folder"}
	if diff := cmp.Diff(wantNames, names(t, packed)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestNobodyIsWarnedWithoutReason(t *testing.T) {
	dir := t.TempDir()
	grow(t, dir, map[string]string{"f": "", "d/": ""})
	pack(t, dir, source.Options{Warn: func(text string) { t.Errorf("warned: %s", text) }})
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	grow(t, dir, map[string]string{"real/f": "x", "file": "", "link": "-> real", "dangling": "-> gone"})
	if got := names(t, pack(t, filepath.Join(dir, "link"), source.Options{})); !slices.Equal(got, []string{"f"}) {
		t.Errorf("through a link: %q", got)
	}
	for _, name := range []string{"gone", "dangling"} {
		_, err := source.Pack(t.Context(), new(bytes.Buffer), filepath.Join(dir, name), source.Options{})
		if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := source.Pack(t.Context(), new(bytes.Buffer), filepath.Join(dir, "file"), source.Options{})
	if err == nil || !strings.HasSuffix(err.Error(), "file: not a directory") {
		t.Errorf("a file: %v", err)
	}
}

// brokenWriter takes some bytes and then fails.
type brokenWriter struct{ left int }

var errBroken = errors.New("broken")

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

func TestBrokenWriter(t *testing.T) {
	dir := t.TempDir()
	grow(t, dir, map[string]string{"a": noise(1, 10<<20), "b": "x"})
	size := len(pack(t, dir, source.Options{}))
	for _, left := range []int{0, 5, 10, 11, 1 << 20, 9 << 20, size - 8, size - 1} {
		synctest.Test(t, func(t *testing.T) { // fails when a goroutine is left
			_, err := source.Pack(t.Context(), &brokenWriter{left}, dir, source.Options{})
			if !errors.Is(err, errBroken) {
				t.Errorf("after %d bytes: %v", left, err)
			}
		})
	}
}
