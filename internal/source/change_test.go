package source_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/convox-ci/convox-ci/internal/source"
)

// packSlowly begins to pack dir into a pipe, waits until nothing moves because nobody reads, calls
// change, and then reads everything. It must run in a synctest bubble, which also fails
// when a goroutine is left.
func packSlowly(t *testing.T, dir string, skip int64, change func()) (int64, error) {
	t.Helper()
	r, w := io.Pipe()
	result := make(chan error, 1)
	go func() {
		_, err := source.Pack(t.Context(), w, dir, source.Options{})
		w.CloseWithError(err)
		result <- err
	}()
	if _, err := io.CopyN(io.Discard, r, skip); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	change()
	n, _ := io.Copy(io.Discard, r)
	return n, <-result
}

// headerBytes are read before the change: the gzip header and one byte of the first block, in which
// is the header of the first file.
const headerBytes = 11

func TestFileThatChanges(t *testing.T) {
	const size = 64 << 20 // more than is ever compressed ahead
	tests := []struct {
		name   string
		change func(file string) error
		want   error
	}{
		{"stays", func(string) error { return nil }, nil},
		{"shrinks", func(f string) error { return os.Truncate(f, size-1) }, source.ErrChanged},
		{"empties", func(f string) error { return os.Truncate(f, 0) }, source.ErrChanged},
		{"grows", func(f string) error { return os.Truncate(f, size+1) }, source.ErrChanged},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			grow(t, dir, map[string]string{"sub/big": ""})
			file := filepath.Join(dir, "sub", "big")
			if err := os.Truncate(file, size); err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				_, err := packSlowly(t, dir, headerBytes, func() {
					if err := test.change(file); err != nil {
						t.Fatal(err)
					}
				})
				if !errors.Is(err, test.want) || err != nil && !strings.Contains(err.Error(), `"sub/big"`) {
					t.Errorf("Pack = %v, want %v with the name", err, test.want)
				}
			})
		})
	}
}

// stuck makes a folder of 400 files, f000 to f399, behind one that is more than is ever compressed
// ahead.
func stuck(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for i := range 400 {
		grow(t, dir, map[string]string{"big": "", fmt.Sprintf("f%03d", i): "x"})
	}
	if err := os.Truncate(filepath.Join(dir, "big"), 64<<20); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestNameThatChanges(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Of 400 files the first 32 are opened and the first 128 or so are walked when nothing moves.
	tests := []struct {
		name   string
		file   string
		change func(file string) error
		want   error  // nil for any
		text   string // after the name
	}{
		{"vanishes before it is walked", "f399", os.Remove, fs.ErrNotExist, "no such file"},
		{"vanishes before it is opened", "f080", os.Remove, fs.ErrNotExist, "no such file"},
		{"becomes a link out of the tree", "f080", func(f string) error {
			return errors.Join(os.Remove(f), os.Symlink(outside, f))
		}, nil, "path escapes"}, // os.Root has no kind for it
		{"becomes a link to another file", "f080", func(f string) error {
			return errors.Join(os.Remove(f), os.Symlink("f000", f))
		}, source.ErrChanged, "changed"},
		{"is replaced", "f080", func(f string) error {
			return os.Rename(filepath.Join(filepath.Dir(f), "f399"), f)
		}, source.ErrChanged, "changed"},
		{"becomes a folder", "f080", func(f string) error {
			return errors.Join(os.Remove(f), os.Mkdir(f, 0o755))
		}, source.ErrChanged, "changed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := stuck(t)
			synctest.Test(t, func(t *testing.T) {
				_, err := packSlowly(t, dir, 0, func() {
					if err := test.change(filepath.Join(dir, test.file)); err != nil {
						t.Fatal(err)
					}
				})
				if err == nil || !strings.HasPrefix(err.Error(), `pack "`+test.file+`": `+test.text) {
					t.Fatalf("Pack = %v, want an error with the name", err)
				}
				if test.want != nil && !errors.Is(err, test.want) {
					t.Errorf("Pack = %v, want %v", err, test.want)
				}
			})
		})
	}
}

func TestCancel(t *testing.T) {
	errWhy := errors.New("job stopped")
	dir := t.TempDir()
	for i := range 300 {
		grow(t, dir, map[string]string{fmt.Sprintf("d%03d/f", i): noise(uint64(i), 64<<10)})
	}
	for _, read := range []int64{0, 10, 1 << 20, 5 << 20} {
		t.Run(fmt.Sprint(read), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				r, w := io.Pipe()
				result := make(chan error, 1)
				go func() {
					_, err := source.Pack(ctx, w, dir, source.Options{})
					result <- err
				}()
				if _, err := io.CopyN(io.Discard, r, read); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				cancel(errWhy)
				synctest.Wait()
				r.Close() // as an HTTP request does with its body when it is cancelled
				if err := <-result; !errors.Is(err, errWhy) {
					t.Errorf("Pack = %v, want %v", err, errWhy)
				}
			})
		})
	}
}

func TestCancelSendsNoMore(t *testing.T) {
	dir := t.TempDir()
	grow(t, dir, map[string]string{"f": noise(1, 64<<20)})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r, w := io.Pipe()
		go func() {
			_, err := source.Pack(ctx, w, dir, source.Options{})
			w.CloseWithError(err)
		}()
		synctest.Wait() // the header is being written
		cancel()
		if n, err := io.Copy(io.Discard, r); n != 10 || !errors.Is(err, context.Canceled) {
			t.Errorf("read %d bytes, %v; want the 10 of the header and %v", n, err, context.Canceled)
		}
	})
}

// openFiles counts the open files of this process.
func openFiles(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("this system has no /proc/self/fd, which tells the open files")
	}
	return len(open)
}

func TestNothingIsLeftOpen(t *testing.T) {
	dir := t.TempDir()
	for i := range 200 {
		grow(t, dir, map[string]string{fmt.Sprintf("d%03d/f", i): noise(uint64(i), 300<<10)})
	}
	before := openFiles(t)
	for _, left := range []int{0, 1 << 20, 1 << 30} {
		_, err := source.Pack(t.Context(), &brokenWriter{left}, dir, source.Options{})
		if (err == nil) != (left == 1<<30) {
			t.Errorf("after %d bytes: %v", left, err)
		}
		if after := openFiles(t); after != before {
			t.Errorf("after %d bytes: %d files are open, %d before", left, after, before)
		}
	}
}

func TestReadAheadIsBounded(t *testing.T) {
	const heads, queued, others = 32, 128, 10 // others are the folders on the way down, and files being opened
	for name, most := range map[string]int{"all/f%04d": heads + others, "d%04d/f": heads + queued + others} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for i := range 1000 {
				large := fmt.Sprintf(name, i)
				grow(t, dir, map[string]string{large: ""})
				if err := os.Truncate(filepath.Join(dir, large), 300<<10); err != nil { // beyond what is read at once
					t.Fatal(err)
				}
			}
			synctest.Test(t, func(t *testing.T) {
				before := openFiles(t)
				_, err := packSlowly(t, dir, 0, func() {
					got := openFiles(t) - before
					if got > most {
						t.Errorf("%d files are open at once, want at most %d", got, most)
					}
				})
				if err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// What is held is bounded in bytes, whatever is in the tree: nobody reads the archive here.
func TestMemoryIsBounded(t *testing.T) {
	const limit = 12 << 20 // bytes; of four compressors, their blocks, and read-ahead
	before := runtime.GOMAXPROCS(8)
	defer runtime.GOMAXPROCS(before)
	for _, test := range []struct{ files, size int }{{1, 64 << 20}, {500, 70 << 10}, {2000, 10 << 10}} {
		t.Run(fmt.Sprintf("%d of %d bytes", test.files, test.size), func(t *testing.T) {
			dir := t.TempDir()
			for i := range test.files {
				grow(t, dir, map[string]string{fmt.Sprintf("f%04d", i): noise(uint64(i), test.size)})
			}
			synctest.Test(t, func(t *testing.T) {
				free := held()
				_, err := packSlowly(t, dir, 0, func() {
					if got := held() - free; got > limit {
						t.Errorf("%d bytes are held, want at most %d", got, limit)
					}
				})
				if err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// held is the bytes of memory in use.
func held() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
