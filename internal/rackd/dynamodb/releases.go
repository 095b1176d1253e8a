package dynamodb

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/rackd/vault"
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
	lost := t[changeName] == "" && errors.Is(err, vault.ErrSealed)
	if !ok || lost { // as the first v2 Racks stored it, and as v2 Racks read it: one that cannot be opened hides no other
		env, err = sealed, nil
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
// While anything of that is left something leads to it: the release itself to its
// environment, and its entry, which is the last, to its pieces. They cannot go before
// it, since who reads it would miss them.
func (s *Store) removeRelease(ctx context.Context, e entry, has texts) error {
	at, of := s.releaseAt(e.id), s.releasesOf(has["app"])
	item, err := s.get(ctx, at)
	if err != nil {
		return err
	}
	left, err := s.get(ctx, of.at(e)) // by one who was killed
	if err != nil {
		return err
	}
	pieces := piecesIn(left)
	if item.have(has) {
		if pieces, err = s.leave(ctx, of.at(e), item); err != nil {
			return err
		}
		if err := s.removeEnv(ctx, item["app"], e.id); err != nil {
			return err
		}
		if _, err := s.remove(ctx, at, has); err != nil {
			return err
		}
	}
	if err := s.removePieces(ctx, pieces...); err != nil {
		return err
	}
	return of.forget(ctx, e)
}

// leave writes into the entry of a release where the pieces of its texts are.
func (s *Store) leave(ctx context.Context, at place, release texts) (pieces []string, err error) {
	if pieces = piecesIn(release); len(pieces) == 0 {
		return nil, nil
	}
	t := texts{"id": release["id"]}
	t.set("build", release["build"])
	for name, value := range release {
		if strings.HasSuffix(name, piecesOf) {
			t[name] = value
		}
	}
	return pieces, s.put(ctx, at, t)
}

// removeEnv removes the object with the environment of a release, if it is there.
func (s *Store) removeEnv(ctx context.Context, app, id string) error {
	if s.environments == nil {
		return nil
	}
	err := s.environments.RemoveObject(ctx, app, envKey(id))
	if errors.Is(err, rack.ErrNotFound) {
		return nil
	}
	return err
}
