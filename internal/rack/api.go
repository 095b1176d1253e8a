package rack

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// path joins the parts of a path, each escaped where it must be by [url.URL].
func path(parts ...string) string { return "/" + strings.Join(parts, "/") }

// System asks for the rack itself.
func (c *Client) System(ctx context.Context) (System, error) {
	var s System
	return s, c.do(ctx, call{method: http.MethodGet, path: "/system", repeatable: true}, &s)
}

// App asks for an app; [ErrNotFound] if there is none of that name.
func (c *Client) App(ctx context.Context, name string) (App, error) {
	var a App
	return a, c.do(ctx, call{method: http.MethodGet, path: path("apps", name), repeatable: true}, &a)
}

// CreateApp makes an app of generation 2. Depending on the rack it is still
// being created when the call returns.
func (c *Client) CreateApp(ctx context.Context, name string) (App, error) {
	var a App
	form := url.Values{"name": {name}}
	return a, c.do(ctx, call{method: http.MethodPost, path: "/apps", form: form}, &a)
}

// PutObject stores bytes under a key of an app. open is called once for each
// try, and what it gives is closed; an error of opening or reading is returned
// as it is and not tried again.
func (c *Client) PutObject(ctx context.Context, app, key string, open func() (io.ReadCloser, error)) (Object, error) {
	var o Object
	return o, c.do(ctx, call{method: http.MethodPost, path: path("apps", app, "objects", key), open: open, repeatable: true}, &o)
}

// BuildOptions are the options of a new build. Zero values are not sent.
type BuildOptions struct {
	BuildArgs      []string // NAME=VALUE each; a comma cannot be carried
	Description    string
	Development    bool
	GitSHA         string
	Manifest       string // path within the source; "" is convox.yml
	NoCache        bool
	WildcardDomain *bool // nil leaves the choice to the rack
}

func (o BuildOptions) form(source string) url.Values {
	f := url.Values{"url": {source}}
	set := func(name, value string) {
		if value != "" {
			f.Set(name, value)
		}
	}
	set("build-args", strings.Join(o.BuildArgs, ","))
	set("description", o.Description)
	set("git-sha", o.GitSHA)
	set("manifest", o.Manifest)
	if o.Development {
		f.Set("development", "true")
	}
	if o.NoCache {
		f.Set("no-cache", "true")
	}
	if o.WildcardDomain != nil {
		f.Set("wildcard-domain", strconv.FormatBool(*o.WildcardDomain))
	}
	return f
}

// CreateBuild starts a build of a stored object. The answer holds the new id;
// its status may be older than the build's own.
func (c *Client) CreateBuild(ctx context.Context, app, source string, o BuildOptions) (Build, error) {
	var b Build
	return b, c.do(ctx, call{method: http.MethodPost, path: path("apps", app, "builds"), form: o.form(source)}, &b)
}

// Build asks for a build; [ErrNotFound] if the app has none of that id.
func (c *Client) Build(ctx context.Context, app, id string) (Build, error) {
	var b Build
	return b, c.do(ctx, call{method: http.MethodGet, path: path("apps", app, "builds", id), repeatable: true}, &b)
}

// Builds lists the builds of an app, the newest first; limit 0 leaves the
// number to the rack (10).
func (c *Client) Builds(ctx context.Context, app string, limit int) ([]Build, error) {
	var bs []Build
	q := url.Values{}
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	return bs, c.do(ctx, call{method: http.MethodGet, path: path("apps", app, "builds"), query: q, repeatable: true}, &bs)
}

// Release asks for a release; [ErrNotFound] if the app has none of that id.
func (c *Client) Release(ctx context.Context, app, id string) (Release, error) {
	var r Release
	return r, c.do(ctx, call{method: http.MethodGet, path: path("apps", app, "releases", id), repeatable: true}, &r)
}

// Promote asks the rack to make a release the active one. It returns when the
// rack has begun; [Client.Await] tells how it ends.
func (c *Client) Promote(ctx context.Context, app, release string, force bool) error {
	k := call{method: http.MethodPost, path: path("apps", app, "releases", release, "promote")}
	if force {
		k.form = url.Values{"force": {"true"}}
	}
	return c.do(ctx, k, nil)
}
