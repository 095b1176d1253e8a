package disk_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd/disk"
)

var secretRegistry = rack.Registry{Server: "https://r.example/v1/", Username: "ann", Password: "correct-horse"}

// wantRegistries fails unless a store has just these credentials.
func wantRegistries(t *testing.T, s *disk.Store, want ...rack.Registry) {
	t.Helper()
	got, err := s.ListRegistries(t.Context())
	if err != nil || len(got) != len(want) {
		t.Fatalf("read %d registries of %d, %v", len(got), len(want), err)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("read %+v, want %+v", got[i], want[i])
		}
	}
}

func TestPasswordsOfRegistriesAreSealed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, "the test")
	if err := s.PutRegistry(t.Context(), secretRegistry); err != nil {
		t.Fatal(err)
	}
	closed(t, s)
	wantNoSecret(t, dir)
	s = open(t, dir, "the next")
	defer closed(t, s)
	wantRegistries(t, s, secretRegistry)
}

// Data of the version before passwords were sealed, of a rack that has sealed
// records by then, and of one that went back for a while.
func TestPlainPasswordsAreSealedLater(t *testing.T) {
	dir := t.TempDir()
	second := rack.Registry{Server: "s.example", Username: "bob", Password: "battery-staple"}
	storeIn(t, dir, secretRegistry.Server, `{"server": "https://r.example/v1/", "username": "ann", "password": "correct-horse"}`, "registries")
	for i, want := range [][]rack.Registry{{secretRegistry}, {secretRegistry, second}} {
		s := open(t, dir, "this version")
		wantRegistries(t, s, want...)
		closed(t, s)
		wantNoSecret(t, dir)
		if i == 0 {
			storeIn(t, dir, second.Server, `{"server": "s.example", "username": "bob", "password": "battery-staple"}`, "registries")
		}
	}
}

// A password must not be sent to another server because someone wrote to the file.
func TestPasswordsOfRegistriesCannotBeMoved(t *testing.T) {
	for name, change := range map[string][2]string{"server": {"r.example", "evil.example"}, "user": {`"ann"`, `"eve"`}} {
		dir := t.TempDir()
		s := open(t, dir, "the test")
		if err := s.PutRegistry(t.Context(), secretRegistry); err != nil {
			t.Fatal(err)
		}
		closed(t, s)
		db, err := bbolt.Open(filepath.Join(dir, "records.db"), 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(func(tx *bbolt.Tx) error {
			b, key := tx.Bucket([]byte("registries")), []byte(secretRegistry.Server)
			return b.Put(key, []byte(strings.ReplaceAll(string(b.Get(key)), change[0], change[1])))
		})
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		s = open(t, dir, "the next")
		if got, err := s.ListRegistries(t.Context()); err == nil {
			t.Errorf("%s: read %+v", name, got)
		}
		closed(t, s)
	}
}
