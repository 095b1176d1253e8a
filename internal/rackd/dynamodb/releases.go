package dynamodb

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

var _ rackd.Releases = (*Store)(nil)

// releaseTexts are the attributes of a release but its environment.
func releaseTexts(r rack.Release) texts {
	t := texts{"id": r.ID, "app": r.App, "created": stamp(r.Created)}
	t.set("build", r.Build)
	t.set("description", r.Description)
	t.set("manifest", r.Manifest)
	return t
}

// plainRelease is a release but its environment.
func plainRelease(t texts) rack.Release {
	return rack.Release{
		ID: t["id"], App: t["app"], Build: t["build"], Manifest: t["manifest"], Description: t["description"], Created: stamped(t["created"]),
	}
}

// releaseOf reads a release with its environment.
func (s *Store) releaseOf(ctx context.Context, t texts) (rack.Release, error) {
	r := plainRelease(t)
	sealed, err := t["env"], error(nil)
	if sealed == "" && t[changeName] == "" {
		sealed, err = s.foreignEnv(ctx, r)
	}
	if sealed == "" || err != nil {
		return r, err
	}
	env, ok, err := s.openText(ctx, sealed, releaseSeal(r))
	if !ok { // as the first v2 Racks stored it
		env = sealed
	}
	r.Env = env
	return r, err
}

// releaseSeal is what the environment of a release is sealed for.
func releaseSeal(r rack.Release) string { return "release " + r.App + "/" + r.ID }

// envKey is the object in which a v2 Rack has the environment of a release.
func envKey(id string) string { return "releases/" + id + "/env" }

// foreignEnv is the environment of a release that a v2 Rack has made, as it is
// stored.
func (s *Store) foreignEnv(ctx context.Context, r rack.Release) (string, error) {
	if s.environments == nil {
		return "", nil
	}
	object, err := s.environments.OpenObject(ctx, r.App, envKey(r.ID))
	if errors.Is(err, rack.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(object)
	return string(data), errors.Join(err, object.Close())
}

// Release implements [rackd.Releases].
func (s *Store) Release(ctx context.Context, app, id string) (r rack.Release, err error) {
	err = s.settled(ctx, app, func() error {
		record, err := s.load(ctx, s.releaseAt(id))
		if err != nil {
			return err
		}
		if record.item["app"] != app {
			return rack.ErrNotFound
		}
		r, err = s.releaseOf(ctx, record.whole)
		return err
	})
	return r, err
}

// ListReleases implements [rackd.Releases].
func (s *Store) ListReleases(ctx context.Context, app string, limit int) (all []rack.Release, err error) {
	err = s.settled(ctx, app, func() (err error) {
		all, err = list(ctx, s.releasesOf(app), limit, func(ctx context.Context, e entry) (r rack.Release, ok bool, err error) {
			record, err := s.load(ctx, s.releaseAt(e.id))
			if err != nil || !e.of(app, record.item) {
				return r, false, err
			}
			r, err = s.releaseOf(ctx, record.whole)
			return r, true, err
		})
		return err
	})
	return all, err
}

// AddRelease implements [rackd.Releases].
func (s *Store) AddRelease(ctx context.Context, r rack.Release) error {
	item := releaseTexts(r)
	env := ""
	if r.Env != "" || s.environments != nil { // a v2 Rack wants an environment without variables too
		var err error
		if env, err = s.sealText(ctx, r.Env, releaseSeal(r)); err != nil {
			return err
		}
		item["env"] = env
	}
	there, err := s.get(ctx, s.releaseAt(r.ID))
	if err != nil {
		return err
	}
	if there != nil {
		return rack.ErrConflict
	}
	if s.environments != nil {
		if err := s.environments.PutObject(ctx, r.App, envKey(r.ID), strings.NewReader(env)); err != nil {
			return err
		}
	}
	if err := s.releasesOf(r.App).add(ctx, entry{item["created"], r.ID}, r.Build); err != nil {
		return err
	}
	ok, err := s.replace(ctx, s.releaseAt(r.ID), stored{}, item)
	if err == nil && !ok {
		return rack.ErrConflict
	}
	return err
}

// RemoveReleases implements [rackd.Releases].
func (s *Store) RemoveReleases(ctx context.Context, app string) error {
	return s.releasesOf(app).each(ctx, func(e entry) error { return s.removeRelease(ctx, e, texts{"app": app}) })
}

// removeRelease removes a release that has some texts, with all that belongs to it.
// Its entry is the last: by that the rest is found again.
func (s *Store) removeRelease(ctx context.Context, e entry, has texts) error {
	was, err := s.remove(ctx, s.releaseAt(e.id), has)
	if err != nil {
		return err
	}
	if was != nil && s.environments != nil {
		if err := s.environments.RemoveObject(ctx, has["app"], envKey(e.id)); err != nil && !errors.Is(err, rack.ErrNotFound) {
			return err
		}
	}
	if err := s.removePieces(ctx, piecesIn(was)...); err != nil {
		return err
	}
	return s.releasesOf(has["app"]).forget(ctx, e)
}
