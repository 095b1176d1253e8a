package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Repository is one of a [Storage] that is there from Create to Delete. Before
// and after, pushes to it are refused as on ECR, while other repositories come to
// be with the first push.
type Repository struct {
	storage *Storage
	name    string
}

// repositoryName is a part of the path of a repository.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
var repositoryName = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*$`)

// Repository declares a repository; it is an error if that cannot be its name.
func (s *Storage) Repository(name string) (*Repository, error) {
	if !repositoryName.MatchString(name) {
		return nil, fmt.Errorf("%q is not the name of a repository", name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.declared[name] = true
	return &Repository{s, name}, nil
}

// The parts of a repository's files.
const (
	layersPath    = "_layers"
	revisionsPath = "_manifests/revisions"
	tagsPath      = "_manifests/tags"
)

func (r *Repository) path(part string) string {
	return filepath.Join(r.storage.repository(r.name), filepath.FromSlash(part))
}

// Create makes the repository, without images, if it is not there, and tells
// whether it did.
func (r *Repository) Create(context.Context) (made bool, err error) {
	_, missing := os.Stat(r.path("."))
	for _, part := range []string{layersPath, revisionsPath, tagsPath} {
		if err := os.MkdirAll(r.path(part), 0o700); err != nil {
			return false, err
		}
	}
	return missing != nil, nil
}

// Delete removes the repository with its images, if it is there. The room that
// they took is free once nobody pushes to the registry.
func (r *Repository) Delete(context.Context) error {
	dir := r.path(".")
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	// At one stroke, for what is half removed looks like a repository.
	trash, err := os.MkdirTemp(r.storage.root, "deleted-")
	if err != nil {
		return err
	}
	if err := os.Rename(dir, filepath.Join(trash, r.name)); err != nil {
		return errors.Join(err, os.Remove(trash))
	}
	if err := os.RemoveAll(trash); err != nil {
		return err
	}
	return r.storage.release()
}

// Tags lists the tags, the latest pushed first.
func (r *Repository) Tags(context.Context) ([]string, error) {
	tags, err := r.tags()
	slices.SortFunc(tags, func(a, b link) int {
		return cmp.Or(b.pushed.Compare(a.pushed), strings.Compare(a.name, b.name))
	})
	var names []string
	for _, t := range tags {
		names = append(names, t.name)
	}
	return names, err
}

// Retain removes the images that were pushed more than some days ago; of 0 days
// none.
func (r *Repository) Retain(ctx context.Context, days int) error {
	if days == 0 {
		return nil
	}
	return r.Expire(ctx, time.Now().AddDate(0, 0, -days))
}

// Expire removes the images that were pushed before a time, whether they have a
// tag or not, as the rule of an ECR repository with the countType
// sinceImagePushed does.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
func (r *Repository) Expire(_ context.Context, before time.Time) error {
	images, err := r.links(revisionsPath)
	if err != nil {
		return err
	}
	expired := map[string]bool{}
	for _, i := range images {
		if i.pushed.Before(before) {
			expired[i.digest] = true
		}
	}
	if len(expired) == 0 {
		return nil
	}
	tags, err := r.tags()
	if err != nil {
		return err
	}
	for _, t := range tags { // first: a tag must not outlive its image
		if expired[t.digest] {
			err = errors.Join(err, os.RemoveAll(t.dir))
		}
	}
	kept := map[string]bool{}
	for _, i := range images {
		if expired[i.digest] {
			err = errors.Join(err, os.RemoveAll(i.dir))
		} else {
			err = errors.Join(err, r.storage.references(i.digest, kept))
		}
	}
	if err != nil { // of what is kept not all may be known
		return err
	}
	return r.dropLayers(before, kept)
}

// dropLayers removes the links to what no image needs any more. Younger ones may
// be of an image that is just being pushed.
func (r *Repository) dropLayers(before time.Time, kept map[string]bool) error {
	layers, err := r.links(layersPath)
	for _, l := range layers {
		if !kept[l.digest] && l.pushed.Before(before) {
			err = errors.Join(err, os.RemoveAll(l.dir))
		}
	}
	return errors.Join(err, r.storage.release())
}
