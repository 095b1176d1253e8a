package rackd

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/gorilla/mux"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// buildChange is what a client wants other in the record of a build. What it does
// not name stays.
type buildChange struct {
	started, ended            *time.Time
	entrypoint, logs          *string
	manifest, release, status *string
}

func readBuildChange(f url.Values) (c buildChange, err error) {
	for name, to := range map[string]**time.Time{"started": &c.started, "ended": &c.ended} {
		if !f.Has(name) {
			continue
		}
		at, err := time.Parse(rack.StampLayout, f.Get(name))
		if err != nil {
			return c, err
		}
		*to = &at
	}
	for name, to := range map[string]**string{
		"entrypoint": &c.entrypoint, "logs": &c.logs, "manifest": &c.manifest, "release": &c.release, "status": &c.status,
	} {
		if f.Has(name) {
			value := f.Get(name)
			*to = &value
		}
	}
	return c, nil
}

// apply makes the change.
func (c buildChange) apply(b *rack.Build) {
	set(&b.Started, c.started)
	set(&b.Ended, c.ended)
	set(&b.Entrypoint, c.entrypoint)
	set(&b.Logs, c.logs)
	set(&b.Manifest, c.manifest)
	set(&b.Release, c.release)
	set(&b.Status, c.status)
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// changeBuild changes the record of a build that has ended, or that is made
// elsewhere, as builders outside of a rack do. One that runs is this rack's own, and
// says itself how it ended.
func (s *Server) changeBuild(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	app, id := mux.Vars(r)["app"], mux.Vars(r)["id"]
	if _, err := s.build(r.Context(), app, id); err != nil {
		return err
	}
	c, err := readBuildChange(f)
	if err != nil {
		return err
	}
	if err := s.allow(r.Context(), app, c); err != nil {
		return err
	}
	for {
		old, err := s.build(r.Context(), app, id)
		if err != nil {
			return err
		}
		if !old.Final() && !external(old) {
			return fault(http.StatusConflict, "build is running: %s", id)
		}
		next := old
		c.apply(&next)
		if err := s.Stores.Builds.SwapBuild(r.Context(), old, next); isConflict(err) {
			continue
		} else if err != nil {
			return err
		}
		return render(w, next)
	}
}

// allow refuses a change after which a build would never end, or would name a
// release or a log that is not its app's.
func (s *Server) allow(ctx context.Context, app string, c buildChange) error {
	if c.status != nil && !(rack.Build{Status: *c.status}).Final() {
		return fault(http.StatusBadRequest, "status must be %s or %s: this rack builds itself", rack.BuildComplete, rack.BuildFailed)
	}
	if c.release != nil && *c.release != "" {
		if _, err := s.release(ctx, app, *c.release); err != nil {
			return err
		}
	}
	if c.logs != nil && *c.logs != "" {
		if owner, _, ok := parseObjectURL(*c.logs); !ok || owner != app {
			return fault(http.StatusBadRequest, "logs must be the URL of an object of the app")
		}
	}
	return nil
}
