package rack

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
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

// ownDelay is how long the maker of a build may take from its answer to writing
// the manifest, which comes next: a build without one after that has no maker.
const ownDelay = time.Second

// StartExternal records a build that is made elsewhere. The repository for its
// images, with the credentials for it, is in this answer and in no other: a build
// whose answer is lost is of no use, so it is ended, and another one recorded. If
// ctx ends while the rack is asked, what was recorded comes with the error, if
// there is anything. A [LostError] says that it cannot be known.
func (c *Client) StartExternal(ctx context.Context, app string, o BuildOptions) (Build, error) {
	o.External, o.BuildArgs = true, nil // which the rack does nothing with, and cannot carry as they are
	before, err := c.Builds(ctx, app, recent)
	if err != nil {
		return Build{}, err
	}
	lost := deed[Build]{
		what: "record the build",
		id:   func(b Build) string { return b.ID },
		find: func(ctx context.Context) ([]Build, error) { return c.endLost(ctx, app, o, before) },
	}
	for n := 1; ; n++ {
		b, err := c.CreateBuild(ctx, app, "", o)
		if ctx.Err() != nil {
			return regret(ctx, lost, b, err)
		}
		if !lostAnswer(err) {
			return b, err
		}
		c.notice(fmt.Sprintf("%s: the answer was lost (%v), and the repository with it; asking the rack what became of it", lost.what, err))
		ended, asked := look(ctx, lost)
		switch {
		case ctx.Err() != nil:
			return regret(ctx, lost, b, err)
		case asked != nil:
			return b, &LostError{What: lost.what, Err: err}
		case n == maxTries:
			return b, err
		case len(ended) > 0:
			c.notice(fmt.Sprintf("%s: it was %v, which is of no use now and has failed; trying again", lost.what, ids(lost, ended)))
		default:
			c.notice(lost.what + ": it was not; trying again")
		}
	}
}

// endLost ends the builds that were recorded for this client and not answered, and
// returns them. What the rack makes itself is none. Of two clients that record builds alike at the same time, the other's
// gets its manifest soon.
func (c *Client) endLost(ctx context.Context, app string, o BuildOptions, before []Build) ([]Build, error) {
	lost := func() ([]Build, error) {
		now, err := c.Builds(ctx, app, recent)
		return slices.DeleteFunc(now, func(b Build) bool {
			return b.Manifest != "" || b.Status != BuildCreated || b.Process != "" || !o.alike(b) || slices.ContainsFunc(before, func(old Build) bool { return old.ID == b.ID })
		}), err
	}
	if found, err := lost(); err != nil || len(found) == 0 {
		return nil, err
	}
	if err := sleep(ctx, ownDelay); err != nil {
		return nil, err
	}
	found, err := lost()
	for _, b := range found {
		if err == nil {
			_, err = c.UpdateBuild(ctx, app, b.ID, BuildChanges{Ended: time.Now(), Status: BuildFailed})
		}
	}
	return found, err
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
