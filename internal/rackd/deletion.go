package rackd

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/gorilla/mux"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// deleteApp removes an app with all that it has. It is gone when the answer goes
// out, except for its images: like a v2 rack's repository, they stay.
func (s *Server) deleteApp(w http.ResponseWriter, r *http.Request) error {
	ctx, name := context.WithoutCancel(r.Context()), mux.Vars(r)["app"]
	err := s.changeApp(ctx, name, func(a *rack.App) error {
		if a.Locked {
			return fault(http.StatusConflict, "app is locked: %s", name)
		}
		a.Status = rack.AppDeleting
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.dismantle(ctx, name); err != nil {
		return err
	}
	return done(w)
}

// changeApp changes a record by compare-and-swap until it succeeds.
func (s *Server) changeApp(ctx context.Context, name string, change func(*rack.App) error) error {
	for {
		old, err := s.app(ctx, name)
		if err != nil {
			return err
		}
		next := old
		if err := change(&next); err != nil {
			return err
		}
		if err := s.Stores.Apps.SwapApp(ctx, old, next); !isConflict(err) {
			return err
		}
	}
}

// standing refuses to make something of an app that is gone, or about to be.
func (s *Server) standing(ctx context.Context, name string) error {
	a, err := s.app(ctx, name)
	if err == nil && a.Status == rack.AppDeleting {
		err = fault(http.StatusConflict, "app is being deleted: %s", name)
	}
	return err
}

// dismantle ends what an app marked for it has under way, and removes all of it,
// its record last: whoever finds that goes on from anywhere.
func (s *Server) dismantle(ctx context.Context, app string) error {
	if err := s.endBuilds(ctx, app); err != nil {
		return err
	}
	for _, p := range s.processes.of(app) {
		p.stop()
		<-p.removed
		s.processes.forget(p.record.ID)
	}
	s.releasing.Lock()
	defer s.releasing.Unlock()
	err := errors.Join(s.Stores.Builds.RemoveBuilds(ctx, app), s.Stores.Releases.RemoveReleases(ctx, app), s.Stores.Objects.RemoveObjects(ctx, app))
	if err != nil {
		return err
	}
	if err := s.Stores.Apps.RemoveApp(ctx, app); err != nil {
		return err
	}
	s.event("app:delete", app, "")
	s.chronicle.forget(app)
	return nil
}

// endBuilds cancels the running builds of an app and waits until that is recorded,
// after which their logs end.
func (s *Server) endBuilds(ctx context.Context, app string) error {
	s.closing.Lock() // who was beginning a build has recorded it, or sees the mark
	builds, err := s.Stores.Builds.ListBuilds(ctx, app, 0)
	s.closing.Unlock()
	if err != nil {
		return err
	}
	for _, b := range builds {
		if b.Final() {
			continue
		}
		s.cancels.cancel(b.ID)
		log, live, err := s.logs.open(ctx, b.ID)
		if err != nil {
			return err
		}
		if live {
			_, err = io.Copy(io.Discard, log)
			if err := errors.Join(err, log.Close()); err != nil {
				return err
			}
		}
	}
	return nil
}

// recoverApps ends what a process before this one has begun with apps. An update
// of which nobody was told that it is done is none.
func (s *Server) recoverApps(ctx context.Context) error {
	apps, err := s.Stores.Apps.ListApps(ctx)
	if err != nil {
		return err
	}
	for _, a := range apps {
		switch a.Status {
		case rack.AppUpdating:
			err = s.changeApp(ctx, a.Name, func(a *rack.App) error { a.Status = rack.AppRunning; return nil })
		case rack.AppDeleting:
			err = s.dismantle(ctx, a.Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
