package rackd

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/gorilla/mux"

	"github.com/convox-ci/convox-ci/internal/rack"
)

var errCancelled = errors.New("the build was cancelled")

// cancels has the way to end each build that can still be cancelled.
type cancels struct {
	mu sync.Mutex
	of map[string]context.CancelCauseFunc // by id; ids are unique over all apps
}

// add makes the context of a build.
func (c *cancels) add(ctx context.Context, id string) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of[id] = cancel
	return ctx
}

// cancel ends the context of a build, and tells whether it was in time: then
// the build becomes failed, whatever it has done by now.
func (c *cancels) cancel(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	cancel, ok := c.of[id]
	if ok {
		cancel(errCancelled)
	}
	return ok
}

// close ends the time in which a build can be cancelled, and tells whether it was.
func (c *cancels) close(ctx context.Context, id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := errors.Is(context.Cause(ctx), errCancelled)
	c.of[id](nil) // what hangs on the context is let go of
	delete(c.of, id)
	return was
}

// cancelBuild ends a running build, as v3 racks do since 3.25.7. It answers at
// once: the record says when the builder has let go.
func (s *Server) cancelBuild(w http.ResponseWriter, r *http.Request) error {
	b, err := s.build(r.Context(), mux.Vars(r)["app"], mux.Vars(r)["id"])
	if err != nil {
		return err
	}
	if external(b) {
		if _, err := s.updateBuild(r.Context(), b.App, b.ID, func(b *rack.Build) {
			b.Status, b.Ended, b.Reason = rack.BuildFailed, now(), errCancelled.Error()
		}); err != nil {
			return err
		}
		return done(w)
	}
	if !s.cancels.cancel(b.ID) {
		return fault(http.StatusConflict, "build is not running: %s", b.ID)
	}
	return done(w)
}
