package disk_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd/disk"
)

const secretEnv = "PASSWORD=correct-horse\nTOKEN=battery-staple"

// wantNoSecret fails if a value of the environment is in any file of a store.
func wantNoSecret(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		for _, value := range []string{"correct-horse", "battery-staple"} {
			if bytes.Contains(data, []byte(value)) {
				t.Errorf("%s holds the value %s", path, value)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEnvironmentsAreSealed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, "the test")
	want := rack.Release{ID: "RA", App: "web", Env: secretEnv, Description: "env add:PASSWORD add:TOKEN"}
	if err := s.AddRelease(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	closed(t, s)
	wantNoSecret(t, dir)
	s = open(t, dir, "the next")
	defer closed(t, s)
	if got, err := s.Release(t.Context(), "web", "RA"); err != nil || got != want {
		t.Errorf("read %+v, %v", got, err)
	}
}

// store puts a record into the file as another version of this program would.
func store(t *testing.T, dir, id, record string) { storeIn(t, dir, id, record, "releases", "web") }

// storeIn does it in the bucket of a path.
func storeIn(t *testing.T, dir, id, record string, path ...string) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, "records.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(path[0]))
		for _, name := range path[1:] {
			if err == nil {
				b, err = b.CreateBucketIfNotExists([]byte(name))
			}
		}
		if err != nil {
			return err
		}
		return b.Put([]byte(id), []byte(record))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// Data of the version before environments were sealed, and of a rack that went
// back to that version for a while.
func TestPlainEnvironmentsAreSealedLater(t *testing.T) {
	dir := t.TempDir()
	for _, id := range []string{"RA", "RB"} {
		store(t, dir, id, `{"id": "`+id+`", "app": "web", "env": "PASSWORD=correct-horse\nTOKEN=battery-staple", "created": "2026-01-02T03:04:05.6Z"}`)
		s := open(t, dir, "this version")
		got, err := s.Release(t.Context(), "web", id)
		if err != nil || got.Env != secretEnv {
			t.Errorf("read %+v, %v", got, err)
		}
		if _, err := disk.Open(dir, "another process"); err == nil {
			t.Error("the file that was made anew is not locked")
		}
		closed(t, s)
		wantNoSecret(t, dir)
	}
}

// An envelope belongs to its release: who can write to the file must not be able
// to have another release's environment used.
func TestEnvelopesCannotBeMoved(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, "the test")
	if err := s.AddRelease(t.Context(), rack.Release{ID: "RA", App: "web", Env: secretEnv}); err != nil {
		t.Fatal(err)
	}
	closed(t, s)
	db, err := bbolt.Open(filepath.Join(dir, "records.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	var moved string
	err = db.View(func(tx *bbolt.Tx) error {
		moved = strings.ReplaceAll(string(tx.Bucket([]byte("releases")).Bucket([]byte("web")).Get([]byte("RA"))), `"RA"`, `"RB"`)
		return nil
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	store(t, dir, "RB", moved)
	s = open(t, dir, "the next")
	defer closed(t, s)
	if got, err := s.Release(t.Context(), "web", "RB"); err == nil || got.Env != "" {
		t.Errorf("read %+v, %v", got, err)
	}
}

func TestKeyFaults(t *testing.T) {
	for name, test := range map[string]struct {
		harm func(key string) error
		want string
	}{
		"missing": {os.Remove, "is missing, and environments and passwords are sealed with it: put it back"},
		"another": {func(key string) error {
			return os.WriteFile(key, []byte("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"), 0o600)
		}, "is not the key that environments and passwords are sealed with: put that back"},
		"cut short": {func(key string) error { return os.Truncate(key, 20) }, "does not hold a key"},
		"open to others": {func(key string) error { return os.Chmod(key, 0o640) },
			"can be read by others: make its mode 0600, and think of the key as known"},
		"a link": {func(key string) error {
			return errors.Join(os.Rename(key, key+".real"), os.Symlink(key+".real", key))
		}, "is not a regular file"},
	} {
		if runtime.GOOS == "windows" && name != "missing" && name != "another" && name != "cut short" {
			continue
		}
		dir := t.TempDir()
		s := open(t, dir, "the test")
		if err := s.AddRelease(t.Context(), rack.Release{ID: "RA", App: "web", Env: secretEnv}); err != nil {
			t.Fatal(err)
		}
		closed(t, s)
		key := filepath.Join(dir, "key")
		if err := test.harm(key); err != nil {
			t.Fatal(err)
		}
		_, err := disk.Open(dir, "the next")
		if fault, ok := errors.AsType[*disk.KeyError](err); !ok || fault.Path != key || fault.Reason != test.want {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Count(err.Error(), "\n") > 0 {
			t.Errorf("%s: more than one error: %v", name, err)
		}
	}
}

// A secret for a purpose outlives the process, and is that of no other purpose.
func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	seen := map[string]string{}
	for range 2 {
		s := open(t, dir, "the test")
		for _, purpose := range []string{"tokens", "other"} {
			secret, err := s.Secret(purpose)
			if err != nil || len(secret) != 32 {
				t.Fatalf("%x, %v", secret, err)
			}
			if was, ok := seen[purpose]; ok && was != string(secret) {
				t.Errorf("the secret for %s has changed", purpose)
			}
			seen[purpose] = string(secret)
		}
		closed(t, s)
	}
	if seen["tokens"] == seen["other"] {
		t.Error("one secret for two purposes")
	}
}
