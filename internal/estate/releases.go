package estate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd/vault"
)

// envKey is the object that the environment of a release is in.
func envKey(release string) string { return "releases/" + release + "/env" }

// releaseID is the id of the release that comes of a build here: the letters of the
// build, which are as random as any. So whoever ends a build for another knows for
// certain whether it has a release, though lists show a new one late.
func releaseID(build string) string { return "R" + strings.TrimPrefix(build, "B") }

// NewestRelease returns the release that a new one gets its environment from, as a
// v2 Rack finds it; ok is false if there is none.
func (e *Estate) NewestRelease(ctx context.Context, app string) (r rack.Release, ok bool, err error) {
	r, ok, err = e.tables.Newest(ctx, app)
	if err != nil || !ok {
		return r, false, err
	}
	r.Env, err = e.env(ctx, app, r.ID)
	return r, err == nil, err
}

// ReleaseOf returns the release that came of a build that was recorded here; ok is
// false if there is none.
func (e *Estate) ReleaseOf(ctx context.Context, app, build string) (r rack.Release, ok bool, err error) {
	r, err = e.tables.Release(ctx, app, releaseID(build))
	return r, err == nil && r.Build == build, unlessMissing(err)
}

// MakeRelease makes a release of a build with the environment of the newest one.
func (e *Estate) MakeRelease(ctx context.Context, app string, o rack.ReleaseOptions) (rack.Release, error) {
	b, err := e.tables.Build(ctx, app, o.Build)
	if err != nil {
		return rack.Release{}, err
	}
	newest, _, err := e.NewestRelease(ctx, app)
	if err != nil {
		return rack.Release{}, err
	}
	r := rack.Release{ID: releaseID(b.ID), App: app, Build: b.ID, Manifest: b.Manifest, Description: b.Description, Env: newest.Env, Created: time.Now().UTC()}
	if o.Description != "" {
		r.Description = o.Description
	}
	if _, err := e.tables.Release(ctx, app, r.ID); !errors.Is(err, rack.ErrNotFound) { // whose environment must not be replaced
		return rack.Release{}, errors.Join(err, fmt.Errorf("release %s is there already: %w", r.ID, rack.ErrConflict))
	}
	sealed, err := e.key.Seal(ctx, r.Env, "")
	if err != nil {
		return rack.Release{}, err
	}
	text, err := json.Marshal(sealed)
	if err != nil {
		return rack.Release{}, err
	}
	if err := e.objects.PutObject(ctx, app, envKey(r.ID), strings.NewReader(string(text))); err != nil {
		return rack.Release{}, err
	}
	err = e.tables.AddRelease(ctx, r)
	if isTaken(err) {
		err = fmt.Errorf("release %s was made by someone else meanwhile: %w", r.ID, rack.ErrConflict)
	}
	return r, err
}

// env reads the environment of a release.
func (e *Estate) env(ctx context.Context, app, release string) (string, error) {
	object, err := e.objects.OpenObject(ctx, app, envKey(release))
	if err != nil {
		return "", unlessMissing(err)
	}
	return e.open(ctx, object)
}

// maxSealed is how long an object that is sealed may be, in bytes.
const maxSealed = 16 << 20

// open reads what a Rack has sealed. The first ones sealed nothing.
func (e *Estate) open(ctx context.Context, object io.ReadCloser) (string, error) {
	text, err := io.ReadAll(io.LimitReader(object, maxSealed))
	if err := errors.Join(err, object.Close()); err != nil {
		return "", err
	}
	var sealed vault.Envelope
	if err := json.Unmarshal(text, &sealed); err != nil || len(sealed.Text) == 0 || len(sealed.Key) == 0 {
		return string(text), nil
	}
	return e.key.Open(ctx, &sealed, "")
}

// registriesPrefix is what the keys of the credentials of registries begin with.
const registriesPrefix = "system/registries/"

// ListRegistries returns the credentials of registries that were added to the Rack.
func (e *Estate) ListRegistries(ctx context.Context) (all []rack.Registry, err error) {
	keys, err := e.vault.ListObjects(ctx, e.rack, registriesPrefix)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		object, err := e.vault.OpenObject(ctx, e.rack, key)
		if errors.Is(err, rack.ErrNotFound) { // removed since
			continue
		}
		if err != nil {
			return nil, err
		}
		text, err := e.open(ctx, object)
		if err != nil {
			return nil, err
		}
		var r rack.Registry
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return nil, errors.New("the credentials of a registry of the Rack are not of the form that they have to be") // what they are stays unsaid
		}
		all = append(all, r)
	}
	return all, nil
}

// unlessMissing drops the error of what is not there.
func unlessMissing(err error) error {
	if errors.Is(err, rack.ErrNotFound) {
		return nil
	}
	return err
}

// isTaken tells whether something was there when it was to be stored, or had just been.
func isTaken(err error) bool {
	return errors.Is(err, rack.ErrConflict) || errors.Is(err, rack.ErrNotFound)
}
