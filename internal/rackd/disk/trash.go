package disk

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"time"

	"go.etcd.io/bbolt"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

var _ rackd.Trash = (*Store)(nil)

// trashBucket has the builds that were dropped and still have images or a log,
// under their app and id.
const trashBucket = "trash"

func trashKey(b rack.Build) []byte { return []byte(b.App + "/" + b.ID) }

// DropBuild implements [rackd.Trash].
func (s *Store) DropBuild(_ context.Context, old rack.Build) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		builds := bucket(tx, []string{buildsBucket, old.App})
		if builds == nil {
			return rack.ErrConflict
		}
		stored := builds.Get([]byte(old.ID))
		same, err := holds(stored, old)
		if err != nil {
			return err
		}
		if !same {
			return rack.ErrConflict
		}
		trash, err := makeBucket(tx, []string{trashBucket})
		if err != nil {
			return err
		}
		if err := trash.Put(trashKey(old), stored); err != nil {
			return err
		}
		return errors.Join(builds.Delete([]byte(old.ID)), dropReleases(bucket(tx, []string{releasesBucket, old.App}), old.ID))
	})
}

// dropReleases removes the releases of a build.
func dropReleases(releases *bbolt.Bucket, build string) error {
	if releases == nil {
		return nil
	}
	var ids [][]byte // a bucket must not change while it is walked through
	err := releases.ForEach(func(id, data []byte) error {
		var r sealedRelease
		if err := json.Unmarshal(data, &r); err != nil {
			return err
		}
		if r.Build == build {
			ids = append(ids, id)
		}
		return nil
	})
	for _, id := range ids {
		err = errors.Join(err, releases.Delete(id))
	}
	return err
}

// Dropped implements [rackd.Trash].
func (s *Store) Dropped(context.Context) ([]rack.Build, error) {
	return list[rack.Build](s, trashBucket)
}

// ForgetBuild implements [rackd.Trash].
func (s *Store) ForgetBuild(_ context.Context, b rack.Build) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		trash := tx.Bucket([]byte(trashBucket))
		if trash == nil {
			return nil
		}
		return trash.Delete(trashKey(b))
	})
}

// OldObjects implements [rackd.Trash]. Of keys that were too long for a file name
// only the hashes are known: they are left out.
func (s *Store) OldObjects(_ context.Context, app, prefix string, before time.Time) ([]string, error) {
	all, err := s.keys(app, prefix)
	if err != nil {
		return nil, err
	}
	var old []string
	for _, key := range all {
		info, err := s.objects.Lstat(objectFile(app, key))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has just been removed
		}
		if err != nil {
			return nil, err
		}
		if info.ModTime().Before(before) {
			old = append(old, key)
		}
	}
	return old, nil
}
