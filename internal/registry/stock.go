package registry

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/distribution/reference"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// calm is how long nobody must have pushed before room is freed: a push is many
// requests, and counts on what earlier ones found or left. None pauses that long.
const calm = 10 * time.Minute

// open opens the storage that the handler serves.
func (s *Storage) open(ctx context.Context) (driver.StorageDriver, distribution.Namespace, error) {
	d := filesystem.New(filesystem.DriverParameters{RootDirectory: s.dir, MaxThreads: 1})
	n, err := storage.NewRegistry(ctx, d, storage.EnableDelete)
	return d, n, err
}

// unfinished is how long an upload may take, with all its pauses, before it is one
// that was given up.
const unfinished = 24 * time.Hour

var errBusy = errors.New("someone pushes to the registry just now; this is tried again later")

// RemoveTags removes the images of a repository that only have tags which match,
// and those tags of the others. Their layers are there until [Storage.Collect], and
// those of the parts of an image for several platforms after it. An image goes
// before its tags: what is cut off in between can be found again by them.
func (s *Storage) RemoveTags(ctx context.Context, repository string, matches func(tag string) bool) error {
	if !s.pushing.TryLock() { // to wait would hold up all who push until the slowest of them is through
		return errBusy
	}
	defer s.pushing.Unlock()
	_, n, err := s.open(ctx)
	if err != nil {
		return err
	}
	name, err := reference.WithName(repository)
	if err != nil {
		return err
	}
	repo, err := n.Repository(ctx, name)
	if err != nil {
		return err
	}
	manifests, err := repo.Manifests(ctx)
	if err != nil {
		return err
	}
	tags := repo.Tags(ctx)
	all, err := tags.All(ctx)
	if _, none := errors.AsType[distribution.ErrRepositoryUnknown](err); none {
		return nil
	}
	if err != nil {
		return err
	}
	for _, tag := range all {
		if !matches(tag) {
			continue
		}
		if err := removeImage(ctx, manifests, tags, tag, matches); err != nil {
			return err
		}
		if err := tags.Untag(ctx, tag); err != nil {
			return err
		}
	}
	return nil
}

// removeImage removes the image of a tag, unless it has one that does not match.
func removeImage(ctx context.Context, manifests distribution.ManifestService, tags distribution.TagService, tag string, matches func(string) bool) error {
	d, err := tags.Get(ctx, tag)
	if err != nil {
		return err
	}
	same, err := tags.Lookup(ctx, v1.Descriptor{Digest: d.Digest})
	if err != nil {
		return err
	}
	for _, t := range same {
		if !matches(t) {
			return nil
		}
	}
	err = manifests.Delete(ctx, d.Digest)
	if errors.Is(err, distribution.ErrBlobUnknown) {
		return nil // another of its tags came before
	}
	if _, gone := errors.AsType[distribution.ErrManifestUnknownRevision](err); gone {
		return nil
	}
	return err
}

// Collect frees the room of all that belongs to no image, and of uploads that were
// given up. While others push, and
// a while after, it does nothing; while it is at work, pushes wait.
func (s *Storage) Collect(ctx context.Context) error {
	if !s.pushing.TryLock() {
		return nil
	}
	defer s.pushing.Unlock()
	if time.Since(time.Unix(0, s.pushed.Load())) < calm {
		return nil
	}
	d, n, err := s.open(ctx)
	if err != nil {
		return err
	}
	dropUploads(ctx, d, time.Now().Add(-unfinished))
	for _, part := range []string{"repositories", "blobs"} {
		if _, err := os.Stat(filepath.Join(s.dir, "docker", "registry", "v2", part)); errors.Is(err, os.ErrNotExist) {
			return nil // nothing was ever pushed, which the library takes for a fault
		}
	}
	return storage.MarkAndSweep(ctx, d, n, storage.GCOpts{Quiet: true})
}
