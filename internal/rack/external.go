package rack

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// StampLayout is the only layout that racks take a time in the form of a request
// in, in UTC; see [time.Layout].
const StampLayout = "20060102.150405.000000000"

// BuildChanges are what the record of a build is told by whoever makes it. Zero
// values are not sent.
type BuildChanges struct {
	Ended      time.Time
	Entrypoint string // of the built image, quoted for a shell
	Logs       string // URL of the stored log
	Manifest   string // text of convox.yml
	Release    string // id of the release that came of it
	Status     string // one of the statuses of a [Build]
}

func (ch BuildChanges) form() url.Values {
	f := url.Values{}
	set := func(name, value string) {
		if value != "" {
			f.Set(name, value)
		}
	}
	if !ch.Ended.IsZero() {
		set("ended", ch.Ended.UTC().Format(StampLayout))
	}
	set("entrypoint", ch.Entrypoint)
	set("logs", ch.Logs)
	set("manifest", ch.Manifest)
	set("release", ch.Release)
	set("status", ch.Status)
	return f
}

// UpdateBuild changes the record of a build that is made elsewhere, and returns it
// as it is then; [ErrNotFound] if the app has none of that id.
func (c *Client) UpdateBuild(ctx context.Context, app, id string, ch BuildChanges) (Build, error) {
	var b Build
	return b, c.do(ctx, call{method: http.MethodPut, path: path("apps", app, "builds", id), form: ch.form(), repeatable: true}, &b)
}

// LogKey is the key of the object that the log of a build is stored as.
func LogKey(build string) string { return "build/" + build + "/logs" }

// TellBuilt has the rack tell those who listen to it that a build was made and has
// a release. Racks do it themselves for the builds that they make.
func (c *Client) TellBuilt(ctx context.Context, b Build) error {
	data := url.Values{"app": {b.App}, "id": {b.ID}, "release_id": {b.Release}}
	f := url.Values{"action": {"build:create"}, "data": {data.Encode()}}
	return c.do(ctx, call{method: http.MethodPost, path: path("events"), form: f}, nil)
}
