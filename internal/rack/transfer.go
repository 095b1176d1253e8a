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
