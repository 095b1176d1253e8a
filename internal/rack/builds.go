package rack

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// BuildOptions are the options of a new build. Zero values are not sent.
type BuildOptions struct {
	BuildArgs      []string // NAME=VALUE each; a comma cannot be carried
	Description    string
	Development    bool
	External       bool // the build is made elsewhere, see [Client.UpdateBuild]
	GitSHA         string
	Manifest       string // path within the source; "" is convox.yml
	NoCache        bool
	WildcardDomain *bool // nil leaves the choice to the rack

	cacheInverted bool // the rack takes no-cache for its opposite; see For
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
	if o.External {
		f.Set("external", "true")
	}
	if o.NoCache {
		f.Set("no-cache", strconv.FormatBool(!o.cacheInverted))
	}
	if o.WildcardDomain != nil {
		f.Set("wildcard-domain", strconv.FormatBool(*o.WildcardDomain))
	}
	return f
}

// CreateBuild starts a build of a stored object, or records one that is made
// elsewhere, of no object: then the repository in the answer is where its images are
// to be pushed to. The answer holds the new id; its status may be older than the
// build's own. [Client.StartBuild] does the same
// and outlives a lost answer.
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
	return bs, c.do(ctx, call{method: http.MethodGet, path: path("apps", app, "builds"), query: limited(limit), repeatable: true}, &bs)
}

// limited is the option limit of lists.
func limited(limit int) url.Values {
	q := url.Values{}
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	return q
}

// CancelBuild asks for a running build to be ended; its record says a little
// later that it failed. The error is [ErrConflict] if the build has ended,
// [ErrUnsupported] on racks that cannot do it (v2 ones, v3 ones before 3.25.7).
func (c *Client) CancelBuild(ctx context.Context, app, id string) error {
	return c.do(ctx, call{method: http.MethodPost, path: path("apps", app, "builds", id, "cancel"), repeatable: true}, nil)
}

// CancelApp asks for the update of an app to be undone, that is a promote that
// has begun; [ErrForbidden] if none is under way.
func (c *Client) CancelApp(ctx context.Context, app string) error {
	return c.do(ctx, call{method: http.MethodPost, path: path("apps", app, "cancel")}, nil)
}
