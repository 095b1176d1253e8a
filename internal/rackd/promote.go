package rackd

import (
	"context"
	"net/http"
	"strings"

	"github.com/gorilla/mux"

	"github.com/convox-ci/convox-ci/internal/manifest"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// promoteRelease makes a release the active one. Nothing is started: until
// this rack runs services itself, being active is all there is to a release. So
// the update, during which an app is updating and can be cancelled, is over when
// the answer goes out.
func (s *Server) promoteRelease(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	ctx, name, id := r.Context(), mux.Vars(r)["app"], mux.Vars(r)["id"]
	s.releasing.Lock()
	defer s.releasing.Unlock()
	if err := s.beginUpdate(ctx, name, id, f.Get("force") == "true"); err != nil {
		return err
	}
	if err := s.endUpdate(context.WithoutCancel(ctx), name, id); err != nil {
		return err
	}
	return done(w)
}

// beginUpdate checks that a release can become active, and marks its app.
func (s *Server) beginUpdate(ctx context.Context, name, id string, force bool) error {
	for {
		app, err := s.app(ctx, name)
		if err != nil {
			return err
		}
		if app.Status != rack.AppRunning && !force {
			return fault(http.StatusForbidden, "app is currently updating")
		}
		if err := s.promotable(ctx, app, id); err != nil {
			return err
		}
		next := app
		next.Status = rack.AppUpdating
		if err := s.Stores.Apps.SwapApp(ctx, app, next); !isConflict(err) {
			return err
		}
	}
}

// endUpdate makes a release the active one of an app that is being updated. Where
// the update has been cancelled, the release that was active stays so, and whoever
// asked for it sees that by its id, as on every rack.
func (s *Server) endUpdate(ctx context.Context, name, id string) error {
	for {
		app, err := s.app(ctx, name)
		if err != nil {
			return err
		}
		if app.Status != rack.AppUpdating {
			return nil
		}
		next := app
		next.Status, next.Release = rack.AppRunning, id
		err = s.Stores.Apps.SwapApp(ctx, app, next)
		if isConflict(err) {
			continue
		}
		if err == nil {
			s.event("release:promote", name, "release "+id+" is the active one now; this rack records that and runs no services: commands are run in it when they are asked for")
		}
		return err
	}
}

// promotable tells why a release cannot become the active one.
func (s *Server) promotable(ctx context.Context, app rack.App, id string) error {
	rel, err := s.release(ctx, app.Name, id)
	if err != nil {
		return err
	}
	if strings.TrimSpace(rel.Manifest) == "" {
		return fault(http.StatusInternalServerError, "can not promote a release with an empty manifest")
	}
	if app.Release != "" {
		active, err := s.release(ctx, app.Name, app.Release)
		if err != nil {
			return err
		}
		if rel.Created.Before(active.Created) {
			return fault(http.StatusInternalServerError, "can not promote an older release, try rollback")
		}
	}
	// The environment is the release's own: what build args gave to its build is gone.
	m, err := manifest.Load([]byte(rel.Manifest), rel.Variables())
	if err != nil {
		return err
	}
	return m.CheckPromotion()
}

// cancelApp ends the update of an app: what was active stays so.
func (s *Server) cancelApp(w http.ResponseWriter, r *http.Request) error {
	ctx, name := r.Context(), mux.Vars(r)["app"]
	for {
		app, err := s.app(ctx, name)
		if err != nil {
			return err
		}
		if app.Status != rack.AppUpdating {
			return fault(http.StatusForbidden, "app is not updating")
		}
		next := app
		next.Status = rack.AppRunning
		err = s.Stores.Apps.SwapApp(ctx, app, next)
		if isConflict(err) {
			continue
		}
		if err != nil {
			return err
		}
		s.event("app:cancel", name, "the update was cancelled, the active release is as it was: "+app.Release)
		return done(w)
	}
}
