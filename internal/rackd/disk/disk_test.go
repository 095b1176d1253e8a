package disk_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/rackd/disk"
	"github.com/convox-ci/convox-ci/internal/rackd/storetest"
)

func open(t *testing.T, dir, owner string) *disk.Store {
	t.Helper()
	s, err := disk.Open(dir, owner)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closed(t *testing.T, s *disk.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestPromises(t *testing.T) {
	fresh := func(t *testing.T) func() rackd.Stores {
		dir := t.TempDir()
		var s *disk.Store
		t.Cleanup(func() { closed(t, s) })
		return func() rackd.Stores {
			if s != nil {
				closed(t, s)
			}
			s = open(t, dir, "the test")
			return s.Stores()
		}
	}
	// Each is tried without the other: they may be kept in different places.
	t.Run("records", func(t *testing.T) {
		storetest.Records(t, func(t *testing.T) func() rackd.Stores {
			open := fresh(t)
			return func() rackd.Stores { s := open(); s.Objects = nil; return s }
		})
	})
	t.Run("objects", func(t *testing.T) {
		storetest.Objects(t, func(t *testing.T) func() rackd.Stores {
			open := fresh(t)
			return func() rackd.Stores { return rackd.Stores{Objects: open().Objects} }
		})
	})
}

func TestOneProcessAtATime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "rack")
	first := open(t, dir, "convox-ci rack (process 17)\n")
	_, err := disk.Open(dir, "the second")
	busy, ok := errors.AsType[*disk.BusyError](err)
	if !ok || busy.Dir != dir || busy.Owner != "convox-ci rack (process 17)" {
		t.Fatalf("second open: %#v", err)
	}
	if want := dir + " is in use by convox-ci rack (process 17)"; err.Error() != want {
		t.Errorf("error is %q, want %q", err, want)
	}
	if err := os.Remove(filepath.Join(dir, "owner")); err != nil {
		t.Fatal(err)
	}
	if _, err = disk.Open(dir, "the second"); err == nil || err.Error() != dir+" is in use by another process" {
		t.Errorf("open without a known owner: %v", err)
	}
	closed(t, first)

	third := open(t, dir, "the third")
	if owner, err := os.ReadFile(filepath.Join(dir, "owner")); err != nil || string(owner) != "the third\n" {
		t.Errorf("owner is %q, %v", owner, err)
	}
	closed(t, third)
	if _, err := os.Stat(filepath.Join(dir, "owner")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("owner after the end: %v", err)
	}
}

func TestOthersCannotRead(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("windows has no permission bits")
	}
	dir := filepath.Join(t.TempDir(), "rack")
	s := open(t, dir, "the test")
	defer closed(t, s)
	if err := s.PutObject(t.Context(), "web", "a", strings.NewReader("secret")); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A process that is killed within PutObject leaves a file behind; the next one
// must not keep it for ever.
func TestHalfObjectsAreSweptAway(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, "the test")
	r, w := io.Pipe()
	stored := make(chan error, 1)
	go func() { stored <- s.PutObject(t.Context(), "web", "a", r) }()
	if _, err := io.WriteString(w, "half"); err != nil {
		t.Fatal(err)
	}
	killed := t.TempDir() // what is on the disk at this moment
	// A copy of the key has the modes of any new file.
	if err := errors.Join(os.CopyFS(killed, os.DirFS(dir)), os.Chmod(filepath.Join(killed, "key"), 0o600)); err != nil {
		t.Fatal(err)
	}
	w.CloseWithError(io.ErrUnexpectedEOF)
	if err := <-stored; !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("put: %v", err)
	}
	closed(t, s)
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("left by a failed upload: %v", got)
	}
	if got := files(t, killed); len(got) != 1 {
		t.Fatalf("left by a killed process: %v", got)
	}
	closed(t, open(t, killed, "the next"))
	if got := files(t, killed); len(got) != 0 {
		t.Errorf("left after the next process: %v", got)
	}
}

// files lists the files below the objects of a store.
func files(t *testing.T, dir string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, "objects"), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Records of other versions of this program have fewer fields, or more: a swap
// based on what was read must succeed, or its caller would try for ever.
func TestRecordsOfAnotherVersion(t *testing.T) {
	dir := t.TempDir()
	closed(t, open(t, dir, "the other version"))
	db, err := bbolt.Open(filepath.Join(dir, "records.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte("apps"))
		if err != nil {
			return err
		}
		return b.Put([]byte("web"), []byte(`{"status": "running", "name": "web", "colour": "blue"}`))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}

	s := open(t, dir, "this version")
	defer closed(t, s)
	old, err := s.App(t.Context(), "web")
	if err != nil || old.Status != rack.AppRunning {
		t.Fatalf("read %+v, %v", old, err)
	}
	next := old
	next.Release = "RA"
	if err := s.SwapApp(t.Context(), old, next); err != nil {
		t.Errorf("swap: %v", err)
	}
	if err := s.SwapApp(t.Context(), old, next); !errors.Is(err, rack.ErrConflict) {
		t.Errorf("swap of what is gone: %v", err)
	}
}

// A source of gigabytes must not pass through memory.
func TestPutObjectNeedsLittleMemory(t *testing.T) {
	s := open(t, t.TempDir(), "the test")
	defer closed(t, s)
	const size = 64 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := s.PutObject(t.Context(), "web", "a", io.LimitReader(zeros{}, size)); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > size/8 {
		t.Errorf("storing %d bytes allocated %d", size, used)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestNoObjectsOutsideOfApps(t *testing.T) {
	s := open(t, t.TempDir(), "the test")
	defer closed(t, s)
	for _, app := range []string{"..", "."} { // names that no app has: they come with the URL of a source
		if _, err := s.OpenObject(t.Context(), app, "a"); err == nil {
			t.Errorf("object of the app %q", app)
		}
	}
}
