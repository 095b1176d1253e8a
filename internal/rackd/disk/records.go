package disk

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

var (
	_ rackd.Apps     = (*Store)(nil)
	_ rackd.Builds   = (*Store)(nil)
	_ rackd.Releases = (*Store)(nil)
)

// Records are in three buckets, under the name of the app or, below a bucket
// for each app, under the id.
const (
	appsBucket     = "apps"
	buildsBucket   = "builds"
	releasesBucket = "releases"
)

// App implements [rackd.Apps].
func (s *Store) App(_ context.Context, name string) (rack.App, error) {
	return get[rack.App](s, name, appsBucket)
}

// ListApps implements [rackd.Apps].
func (s *Store) ListApps(context.Context) ([]rack.App, error) {
	return list[rack.App](s, appsBucket) // bbolt keeps keys in order
}

// SwapApp implements [rackd.Apps].
func (s *Store) SwapApp(_ context.Context, old, next rack.App) error {
	return swap(s, change[rack.App]{old, next, old.Name == "", next.Name}, appsBucket)
}

// Build implements [rackd.Builds].
func (s *Store) Build(_ context.Context, app, id string) (rack.Build, error) {
	return get[rack.Build](s, id, buildsBucket, app)
}

// ListBuilds implements [rackd.Builds].
func (s *Store) ListBuilds(_ context.Context, app string, limit int) ([]rack.Build, error) {
	builds, err := list[rack.Build](s, buildsBucket, app)
	slices.SortStableFunc(builds, func(a, b rack.Build) int {
		return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(a.ID, b.ID))
	})
	return first(builds, limit), err
}

// SwapBuild implements [rackd.Builds].
func (s *Store) SwapBuild(_ context.Context, old, next rack.Build) error {
	return swap(s, change[rack.Build]{old, next, old.ID == "", next.ID}, buildsBucket, next.App)
}

// Release implements [rackd.Releases].
func (s *Store) Release(_ context.Context, app, id string) (rack.Release, error) {
	stored, err := get[sealedRelease](s, id, releasesBucket, app)
	if err != nil {
		return rack.Release{}, err
	}
	return s.openRelease(stored)
}

// ListReleases implements [rackd.Releases].
func (s *Store) ListReleases(_ context.Context, app string, limit int) ([]rack.Release, error) {
	stored, err := list[sealedRelease](s, releasesBucket, app)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(stored, func(a, b sealedRelease) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID))
	})
	var releases []rack.Release
	for _, sealed := range first(stored, limit) {
		r, err := s.openRelease(sealed)
		if err != nil {
			return nil, err
		}
		releases = append(releases, r)
	}
	return releases, nil
}

// AddRelease implements [rackd.Releases].
func (s *Store) AddRelease(_ context.Context, r rack.Release) error {
	stored, err := s.sealRelease(r)
	if err != nil {
		return err
	}
	return swap(s, change[sealedRelease]{next: stored, isNew: true, key: r.ID}, releasesBucket, r.App)
}

func first[T any](all []T, limit int) []T {
	if limit > 0 && limit < len(all) {
		return all[:limit]
	}
	return all
}

// bucket finds a bucket by its path; nil if there is none.
func bucket(tx *bbolt.Tx, path []string) *bbolt.Bucket {
	b := tx.Bucket([]byte(path[0]))
	for _, name := range path[1:] {
		if b == nil {
			return nil
		}
		b = b.Bucket([]byte(name))
	}
	return b
}

// makeBucket finds a bucket by its path, or makes it.
func makeBucket(tx *bbolt.Tx, path []string) (*bbolt.Bucket, error) {
	b, err := tx.CreateBucketIfNotExists([]byte(path[0]))
	for _, name := range path[1:] {
		if err != nil {
			return nil, err
		}
		b, err = b.CreateBucketIfNotExists([]byte(name))
	}
	return b, err
}

func get[T any](s *Store, key string, path ...string) (record T, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		b := bucket(tx, path)
		if b == nil {
			return rack.ErrNotFound
		}
		data := b.Get([]byte(key))
		if data == nil {
			return rack.ErrNotFound
		}
		return json.Unmarshal(data, &record)
	})
	return record, err
}

func list[T any](s *Store, path ...string) (records []T, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		b := bucket(tx, path)
		if b == nil {
			return nil
		}
		return b.ForEach(func(_, data []byte) error {
			var record T
			if err := json.Unmarshal(data, &record); err != nil {
				return err
			}
			records = append(records, record)
			return nil
		})
	})
	return records, err
}

// change is one compare-and-swap of the record under a key.
type change[T any] struct {
	old, next T
	isNew     bool // nothing may be stored yet
	key       string
}

// swap makes a change in the bucket of that path, or returns a conflict.
func swap[T any](s *Store, c change[T], path ...string) error {
	after, err := json.Marshal(c.next)
	if err != nil {
		return err
	}
	return s.db.Update(func(tx *bbolt.Tx) error {
		b, err := makeBucket(tx, path)
		if err != nil {
			return err
		}
		stored := b.Get([]byte(c.key))
		same, err := holds(stored, c.old)
		if err != nil {
			return err
		}
		if c.isNew != (stored == nil) || !c.isNew && !same {
			return rack.ErrConflict
		}
		return b.Put([]byte(c.key), after)
	})
}

// holds tells whether the stored bytes are those of a record. They may have been
// written by another version of this program, with other fields, so they are
// compared in the form of this one.
func holds[T any](stored []byte, record T) (bool, error) {
	if stored == nil {
		return false, nil
	}
	var read T
	if err := json.Unmarshal(stored, &read); err != nil {
		return false, err
	}
	a, err := json.Marshal(read)
	if err != nil {
		return false, err
	}
	b, err := json.Marshal(record)
	return bytes.Equal(a, b), err
}
