// Package disk keeps what an embedded rack remembers on this machine's disk:
// records in one bbolt file, objects in a file each.
package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/rackd/vault"
)

// lockTimeout is how long to wait for a process that is just leaving the data,
// as one that was told to stop does.
const lockTimeout = 500 * time.Millisecond

// BusyError says that another process uses the data.
type BusyError struct {
	Dir   string
	Owner string // who it is, in words; "" if it did not say
}

func (e *BusyError) Error() string {
	owner := e.Owner
	if owner == "" {
		owner = "another process"
	}
	return fmt.Sprintf("%s is in use by %s", e.Dir, owner)
}

// Store is the data of one rack below one directory. Only one process at a
// time can have it open.
type Store struct {
	db      *bbolt.DB
	objects *os.Root
	owner   string
	key     vault.Key // that secrets are sealed with
}

// recordsFile has all records.
const recordsFile = "records.db"

// Open opens the data in dir, made if it is missing. owner says who has it
// from now on, to be shown to a process that comes second; see [BusyError].
// Secrets in it are sealed with a key that lies beside them in a file of its
// own; see [KeyError].
func Open(dir, owner string) (*Store, error) {
	objects := filepath.Join(dir, "objects")
	if err := os.MkdirAll(objects, 0o700); err != nil {
		return nil, err
	}
	s := &Store{owner: filepath.Join(dir, "owner")}
	var err error
	s.db, err = bbolt.Open(filepath.Join(dir, recordsFile), 0o600, &bbolt.Options{Timeout: lockTimeout})
	if errors.Is(err, bolterrors.ErrTimeout) {
		first, _ := os.ReadFile(s.owner)
		return nil, &BusyError{Dir: dir, Owner: strings.TrimSpace(string(first))}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, recordsFile), err)
	}
	if s.objects, err = os.OpenRoot(objects); err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	if err := s.unlock(dir); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	// What a process that was killed had half written is of no use to anyone.
	if err := errors.Join(s.objects.RemoveAll(partialDir), s.objects.Mkdir(partialDir, 0o700)); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := os.WriteFile(s.owner, []byte(owner+"\n"), 0o600); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close lets another process have the data.
func (s *Store) Close() error {
	os.Remove(s.owner)
	return errors.Join(s.objects.Close(), s.db.Close())
}

// Stores are all that a rack needs, each of them this one.
func (s *Store) Stores() rackd.Stores {
	return rackd.Stores{Apps: s, Builds: s, Releases: s, Trash: s, Parameters: s, Registries: s, Objects: s}
}
