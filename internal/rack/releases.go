package rack

import (
	"context"
	"net/http"
	"net/url"
)

// Release asks for a release; [ErrNotFound] if the app has none of that id.
func (c *Client) Release(ctx context.Context, app, id string) (Release, error) {
	var r Release
	return r, c.do(ctx, call{method: http.MethodGet, path: path("apps", app, "releases", id), repeatable: true}, &r)
}

// Releases lists the releases of an app, the newest first, on v2 racks without
// their environments; limit 0 leaves the number to the rack (10).
func (c *Client) Releases(ctx context.Context, app string, limit int) ([]Release, error) {
	var rs []Release
	return rs, c.do(ctx, call{method: http.MethodGet, path: path("apps", app, "releases"), query: limited(limit), repeatable: true}, &rs)
}

// NewestRelease asks for the release of an app that a new build gets its
// environment from, promoted or not. An app without any has none: ok is false.
func (c *Client) NewestRelease(ctx context.Context, app string) (r Release, ok bool, err error) {
	list, err := c.Releases(ctx, app, 1)
	if err != nil || len(list) == 0 {
		return Release{}, false, err
	}
	r, err = c.Release(ctx, app, list[0].ID) // a v2 rack leaves the environment out of lists
	return r, err == nil, err
}

// ReleaseOf looks for the release that came of a build, among the newest ones; ok is
// false if it is not there.
func (c *Client) ReleaseOf(ctx context.Context, app, build string) (r Release, ok bool, err error) {
	list, err := c.Releases(ctx, app, 0)
	for _, r := range list {
		if r.Build == build {
			return r, true, nil
		}
	}
	return Release{}, false, err
}

// ReleaseOptions are what a new release shall differ in from the newest one.
type ReleaseOptions struct {
	Build       string  // "" keeps the newest release's
	Description string  // "" leaves it to the rack
	Env         *string // lines of NAME=VALUE, all there are; nil keeps the newest release's
}

// CreateRelease makes a release without promoting it. [Client.MakeRelease] does
// the same and outlives a lost answer.
func (c *Client) CreateRelease(ctx context.Context, app string, o ReleaseOptions) (Release, error) {
	f := url.Values{}
	if o.Build != "" {
		f.Set("build", o.Build)
	}
	if o.Description != "" {
		f.Set("description", o.Description)
	}
	if o.Env != nil {
		f.Set("env", *o.Env)
	}
	var r Release
	return r, c.do(ctx, call{method: http.MethodPost, path: path("apps", app, "releases"), form: f}, &r)
}

// Promote asks the rack to make a release the active one. It returns when the
// rack has begun; [Client.Await] tells how it ends. [Client.BeginPromote] does
// the same and outlives a lost answer.
func (c *Client) Promote(ctx context.Context, app, release string, force bool) error {
	k := call{method: http.MethodPost, path: path("apps", app, "releases", release, "promote")}
	if force {
		k.form = url.Values{"force": {"true"}}
	}
	return c.do(ctx, k, nil)
}
