package rack

import (
	"context"
	"io"
	"net/http"
)

// ExportBuild asks for the archive of a build, which is read while it comes: it
// may take as long as it takes, but not stop for long. What ends it before its
// end is an [*Error]. A rack that fails on the way may end it as if it were
// whole: see [CheckArchive]. The caller closes it.
func (c *Client) ExportBuild(ctx context.Context, app, id string) (io.ReadCloser, error) {
	return c.download(ctx, call{method: http.MethodGet, path: path("apps", app, "builds", id+".tgz"), repeatable: true})
}

// ImportBuild sends the archive of a build and returns the new build that the
// rack has made of it, complete and with its release. open is called once for
// each try, and what it gives is closed; an error of opening or reading is
// returned as it is, and the rack makes no build of what came until then. There
// is a second try only where the rack took nothing of the first one: when the
// answer was lost, there may be a new build.
func (c *Client) ImportBuild(ctx context.Context, app string, open func() (io.ReadCloser, error)) (Build, error) {
	var b Build
	return b, c.do(ctx, call{method: http.MethodPost, path: path("apps", app, "builds", "import"), open: open}, &b)
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
