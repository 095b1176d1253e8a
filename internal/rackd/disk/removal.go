package disk

import (
	"context"
	"errors"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

var _ rackd.Registries = (*Store)(nil)

// registriesBucket has the credentials of registries, by server.
const registriesBucket = "registries"

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

// ListRegistries implements [rackd.Registries].
func (s *Store) ListRegistries(context.Context) ([]rack.Registry, error) {
	return list[rack.Registry](s, registriesBucket)
}

// PutRegistry implements [rackd.Registries].
func (s *Store) PutRegistry(ctx context.Context, r rack.Registry) error {
	for {
		old, err := get[rack.Registry](s, r.Server, registriesBucket)
		isNew := errors.Is(err, rack.ErrNotFound)
		if err != nil && !isNew {
			return err
		}
		err = swap(s, change[rack.Registry]{old, r, isNew, r.Server}, registriesBucket)
		if !errors.Is(err, rack.ErrConflict) {
			return err
		}
	}
}

// RemoveRegistry implements [rackd.Registries].
func (s *Store) RemoveRegistry(_ context.Context, server string) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		b := bucket(tx, []string{registriesBucket})
		if b == nil || b.Get([]byte(server)) == nil {
			return rack.ErrNotFound
		}
		return b.Delete([]byte(server))
	})
}
