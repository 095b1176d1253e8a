package disk

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd/vault"
)

// seal seals a text with the key of the data.
func (s *Store) seal(text, about string) (*vault.Envelope, error) {
	return s.key.Seal(context.Background(), text, about) // nothing to wait for
}

// open opens what seal has sealed.
func (s *Store) open(e *vault.Envelope, about string) (string, error) {
	return s.key.Open(context.Background(), e, about)
}

// sealedRelease is a release as it is stored: its environment is in the envelope
// alone. Records of earlier versions of this program have none.
type sealedRelease struct {
	rack.Release
	Sealed *vault.Envelope `json:"sealed,omitempty"`
}

func (s *Store) sealRelease(r rack.Release) (sealedRelease, error) {
	stored := sealedRelease{Release: r}
	if r.Env == "" {
		return stored, nil
	}
	var err error
	stored.Env = ""
	stored.Sealed, err = s.seal(r.Env, releaseSeal(r))
	return stored, err
}

func (s *Store) openRelease(stored sealedRelease) (rack.Release, error) {
	if stored.Sealed == nil {
		return stored.Release, nil
	}
	var err error
	stored.Env, err = s.open(stored.Sealed, releaseSeal(stored.Release))
	return stored.Release, err
}

// releaseSeal is what the environment of a release is sealed for.
func releaseSeal(r rack.Release) string { return "release " + r.App + "/" + r.ID }

const (
	metaBucket = "meta"     // what the data says about itself
	keyCheck   = "key"      // an envelope around nothing: which key it is that seals
	checkSeal  = "the data" // what that is sealed for
)

// unlock takes the key of the data, which is made with the data, and seals what
// an earlier version of this program has stored in plain text.
func (s *Store) unlock(dir string) error {
	path := filepath.Join(dir, keyFile)
	check, err := get[*vault.Envelope](s, keyCheck, metaBucket)
	isNew := errors.Is(err, rack.ErrNotFound)
	if err != nil && !isNew {
		return err
	}
	s.key, err = readKey(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && isNew:
		s.key, err = makeKey(path)
	case errors.Is(err, fs.ErrNotExist):
		err = &KeyError{path, "is missing, and environments and passwords are sealed with it: put it back"}
	}
	if err != nil {
		return err
	}
	if isNew {
		if check, err = s.seal("", checkSeal); err != nil {
			return err
		}
		if err := swap(s, change[*vault.Envelope]{next: check, isNew: true, key: keyCheck}, metaBucket); err != nil {
			return err
		}
	}
	if _, err := s.open(check, checkSeal); err != nil {
		return &KeyError{path, "is not the key that environments and passwords are sealed with: put that back"}
	}
	return s.sealPlain(dir)
}

// resealRelease seals a stored record that is plain, and returns nil for others.
func (s *Store) resealRelease(data []byte) ([]byte, error) {
	var r sealedRelease
	if err := json.Unmarshal(data, &r); err != nil || r.Env == "" {
		return nil, err
	}
	stored, err := s.sealRelease(r.Release)
	if err != nil {
		return nil, err
	}
	return json.Marshal(stored)
}

// sealPlain seals the environments and passwords that are stored in plain text.
// What is written over stays in the file until it is used again, so that is made
// anew.
func (s *Store) sealPlain(dir string) error {
	found := false
	all := func(b *bbolt.Bucket, reseal func([]byte) ([]byte, error)) error {
		if b == nil {
			return nil
		}
		sealed, err := resealAll(b, reseal)
		found = found || sealed
		return err
	}
	err := s.db.Update(func(tx *bbolt.Tx) error {
		if err := all(bucket(tx, []string{registriesBucket}), s.resealRegistry); err != nil {
			return err
		}
		apps := bucket(tx, []string{releasesBucket})
		if apps == nil {
			return nil
		}
		return apps.ForEachBucket(func(app []byte) error { return all(apps.Bucket(app), s.resealRelease) })
	})
	if err != nil || !found {
		return err
	}
	return s.renew(dir)
}

// resealAll seals the plain records in a bucket, and tells whether there were any.
func resealAll(b *bbolt.Bucket, reseal func([]byte) ([]byte, error)) (bool, error) {
	plain := map[string][]byte{} // a bucket must not change while it is walked through
	err := b.ForEach(func(id, data []byte) error {
		sealed, err := reseal(data)
		if sealed != nil {
			plain[string(id)] = sealed
		}
		return err
	})
	for id, data := range plain {
		if err == nil {
			err = b.Put([]byte(id), data)
		}
	}
	return len(plain) > 0, err
}

// renew copies the records to a file that takes the place of the old one, and
// is locked before it does.
func (s *Store) renew(dir string) error {
	path := filepath.Join(dir, recordsFile)
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	next, err := bbolt.Open(fresh, 0o600, &bbolt.Options{Timeout: lockTimeout})
	if err != nil {
		return err
	}
	if err := errors.Join(bbolt.Compact(next, s.db, renewBatch), next.Sync()); err != nil {
		return errors.Join(err, next.Close())
	}
	if err := os.Rename(fresh, path); err != nil {
		return errors.Join(err, next.Close())
	}
	old := s.db
	s.db = next
	return errors.Join(old.Close(), syncPath(dir))
}

// renewBatch is how much is copied in one transaction, in bytes: it is in memory.
const renewBatch = 16 << 20
