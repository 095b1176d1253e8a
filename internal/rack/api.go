package rack

import (
	"context"
	"io"
	"net/http"
	"net/url"
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

// Apps lists the apps of the rack by name.
func (c *Client) Apps(ctx context.Context) ([]App, error) {
	var as []App
	return as, c.do(ctx, call{method: http.MethodGet, path: "/apps", repeatable: true}, &as)
}

// Racks lists the racks that a console knows and the key may see. A rack asked
// without a console has none: [ErrNotFound]. The request is for the console
// itself, so it names no rack, which would be asked in its place.
func (c *Client) Racks(ctx context.Context) ([]RackItem, error) {
	itself := New(c.endpoint, c.http.Transport, c.notice)
	itself.endpoint.rack = ""
	itself.session.Store(c.session.Load())
	var rs []RackItem
	err := itself.do(ctx, call{method: http.MethodGet, path: "/racks", repeatable: true}, &rs)
	c.session.Store(itself.session.Load())
	return rs, err
}
