package disk

import (
	"context"
	"errors"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// RemoveApp implements [rackd.Apps].
func (s *Store) RemoveApp(_ context.Context, name string) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		if b := bucket(tx, []string{appsBucket}); b != nil {
			return b.Delete([]byte(name))
		}
		return nil
	})
}

// RemoveBuilds implements [rackd.Builds].
func (s *Store) RemoveBuilds(_ context.Context, app string) error { return s.drop(buildsBucket, app) }

// RemoveReleases implements [rackd.Releases].
func (s *Store) RemoveReleases(_ context.Context, app string) error {
	return s.drop(releasesBucket, app)
}

// drop removes the records of an app from a bucket.
func (s *Store) drop(from, app string) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		b := bucket(tx, []string{from})
		if b == nil {
			return nil
		}
		err := b.DeleteBucket([]byte(app))
		if errors.Is(err, bolterrors.ErrBucketNotFound) {
			return nil
		}
		return err
	})
}
