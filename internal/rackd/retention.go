package rackd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
)

const (
	// pruneEvery is how often what is too old is removed, as racks do it.
	pruneEvery = time.Hour

	// keepUploads is how long a source is kept: no client waits that long between
	// its upload and the build, also one that tries again.
	keepUploads = 24 * time.Hour
)

// uploads is how the keys of sources begin, those that clients choose and those
// that they leave to the rack.
const uploads = "tmp/"

// Retention says what a rack keeps, and where the rest is removed from.
type Retention struct {
	Builds int // of each app: the newest, besides those that are needed; at least 1
	Trash  Trash
	Images Stock
}

// Trash takes out of the stores what is not kept.
type Trash interface {
	// DropBuild takes a build and all releases of it out of the records and puts
	// it into the trash, all at once, if it still equals old. Otherwise it returns
	// an error that is [rack.ErrConflict] and does nothing.
	DropBuild(ctx context.Context, old rack.Build) error
	// Dropped lists what is in the trash.
	Dropped(ctx context.Context) ([]rack.Build, error)
	// ForgetBuild takes a build out of the trash.
	ForgetBuild(ctx context.Context, b rack.Build) error
	// OldObjects lists the objects of an app with keys that begin with prefix and
	// that were stored before a time. Very long keys may be missing.
	OldObjects(ctx context.Context, app, prefix string, before time.Time) ([]string, error)
}

// Stock is the registry of the rack, as far as images are taken out of it.
type Stock interface {
	// RemoveTags removes the images of a repository that only have tags which
	// match, and those tags of the others.
	RemoveTags(ctx context.Context, repository string, matches func(tag string) bool) error
	// Collect frees the room of what belongs to no image. It does nothing while
	// others push.
	Collect(ctx context.Context) error
}

// Retain removes what is not kept, now and from time to time until the server
// closes.
func (s *Server) Retain(r Retention) {
	if !s.enter() {
		return
	}
	go func() {
		defer s.busy.Done()
		tick := time.NewTicker(pruneEvery)
		defer tick.Stop()
		for {
			if err := s.Prune(s.work, r); err != nil && s.work.Err() == nil {
				s.say("Removing what is not kept: %v", err)
			}
			select {
			case <-tick.C:
			case <-s.work.Done():
				return
			}
		}
	}()
}

// Prune removes what is not kept. A build goes into the trash with its releases
// first, and is only forgotten when its images and its log are gone: what is cut
// off in between is gone on with the next time.
func (s *Server) Prune(ctx context.Context, r Retention) error {
	apps, err := s.Stores.Apps.ListApps(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, a := range apps {
		if err := s.pruneApp(ctx, a.Name, r); err != nil {
			errs = append(errs, fmt.Errorf("app %s: %w", a.Name, err))
		}
	}
	return errors.Join(append(errs, s.clear(ctx, r))...)
}

func (s *Server) pruneApp(ctx context.Context, app string, r Retention) error {
	if err := s.dropBuilds(ctx, app, r); err != nil {
		return err
	}
	builds, err := s.Stores.Builds.ListBuilds(ctx, app, 0)
	if err != nil || slices.ContainsFunc(builds, func(b rack.Build) bool { return !b.Final() }) {
		return err // one that runs may yet read its source
	}
	old, err := r.Trash.OldObjects(ctx, app, uploads, now().Add(-keepUploads))
	for _, key := range old {
		err = errors.Join(err, s.removeObject(ctx, app, key))
	}
	return err
}

// removeObject removes an object that may be gone already.
func (s *Server) removeObject(ctx context.Context, app, key string) error {
	err := s.Stores.Objects.RemoveObject(ctx, app, key)
	if isNotFound(err) {
		return nil
	}
	return err
}

// dropBuilds drops the builds of an app that are too many. Meanwhile no release
// is made or promoted: it could be one of them.
func (s *Server) dropBuilds(ctx context.Context, app string, r Retention) error {
	s.releasing.Lock()
	defer s.releasing.Unlock()
	a, err := s.Stores.Apps.App(ctx, app)
	if err != nil {
		return err
	}
	latest, err := s.latest(ctx, app)
	if err != nil {
		return err
	}
	needed := []string{latest.Build} // the next release starts from it
	if a.Release != "" {
		active, err := s.Stores.Releases.Release(ctx, app, a.Release)
		if err != nil {
			return err
		}
		needed = append(needed, active.Build)
	}
	builds, err := s.Stores.Builds.ListBuilds(ctx, app, 0)
	if err != nil {
		return err
	}
	for _, b := range builds[min(max(r.Builds, 1), len(builds)):] {
		if slices.Contains(needed, b.ID) || !b.Final() {
			continue
		}
		if err := r.Trash.DropBuild(ctx, b); err != nil && !isConflict(err) {
			return err
		}
	}
	return nil
}

// clear empties the trash and frees its room, unless a build or an import may be
// pushing: it counts on the layers that it has found there.
func (s *Server) clear(ctx context.Context, r Retention) error {
	if !s.pushing.TryLock() {
		return nil
	}
	defer s.pushing.Unlock()
	if err := s.emptyTrash(ctx, r); err != nil {
		return err
	}
	return r.Images.Collect(ctx)
}

// emptyTrash removes what belongs to the builds in the trash.
func (s *Server) emptyTrash(ctx context.Context, r Retention) error {
	dropped, err := r.Trash.Dropped(ctx)
	if err != nil {
		return err
	}
	for _, b := range dropped {
		err := r.Images.RemoveTags(ctx, b.App, func(tag string) bool { return strings.HasSuffix(tag, "."+b.ID) })
		if err == nil {
			err = s.removeObject(ctx, b.App, logKey(b.ID))
		}
		if err == nil {
			err = r.Trash.ForgetBuild(ctx, b)
		}
		if err != nil {
			return fmt.Errorf("build %s: %w", b.ID, err)
		}
	}
	return nil
}
