package rackd

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/gorilla/mux"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// listReleases leaves the environments out, as a v2 rack does: a list is made
// to be printed.
func (s *Server) listReleases(w http.ResponseWriter, r *http.Request) error {
	return answerList(s, w, r, func(ctx context.Context, app string, limit int) ([]rack.Release, error) {
		releases, err := s.Stores.Releases.ListReleases(ctx, app, limit)
		for i := range releases {
			releases[i].Env = ""
		}
		return releases, err
	})
}

func (s *Server) getRelease(w http.ResponseWriter, r *http.Request) error {
	return answerOne(w, r, s.release)
}

// getEnvironment answers with the environment of a release as it is stored, for
// the processes that fetch it.
func (s *Server) getEnvironment(w http.ResponseWriter, r *http.Request) error {
	rel, err := s.release(r.Context(), mux.Vars(r)["app"], mux.Vars(r)["id"])
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store") // it is full of secrets
	_, err = io.WriteString(w, rel.Env)
	return err
}

// release returns a release, or the answer for one that does not exist.
func (s *Server) release(ctx context.Context, app, id string) (rack.Release, error) {
	if _, err := s.app(ctx, app); err != nil {
		return rack.Release{}, err
	}
	rel, err := s.Stores.Releases.Release(ctx, app, id)
	if isNotFound(err) {
		return rel, fault(http.StatusNotFound, "release not found: %s", id)
	}
	return rel, err
}

func (s *Server) createRelease(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	app := mux.Vars(r)["app"]
	if _, err := s.app(r.Context(), app); err != nil {
		return err
	}
	p := proposal{build: f.Get("build"), description: f.Get("description")}
	if f.Has("env") {
		env := f.Get("env")
		p.env = &env
	}
	rel, err := s.addRelease(r.Context(), app, p)
	if err != nil {
		return err
	}
	return render(w, rel)
}

// proposal is what a new release shall differ in from the latest one.
type proposal struct {
	build       string  // "" keeps the latest release's
	env         *string // nil keeps the latest release's
	description string  // "" makes one
}

// addRelease makes a release. It starts from the latest one, whether that was
// promoted or not, and is itself later than that to every clock.
func (s *Server) addRelease(ctx context.Context, app string, p proposal) (rack.Release, error) {
	s.releasing.Lock()
	defer s.releasing.Unlock()
	if err := s.standing(ctx, app); err != nil {
		return rack.Release{}, err
	}
	latest, err := s.latest(ctx, app)
	if err != nil {
		return rack.Release{}, err
	}
	r := rack.Release{App: app, Build: latest.Build, Env: latest.Env, Created: now()}
	if !r.Created.After(latest.Created) {
		r.Created = latest.Created.Add(time.Nanosecond)
	}
	if p.build != "" {
		r.Build = p.build
	}
	if r.Build != "" {
		b, err := s.build(ctx, app, r.Build)
		if err != nil {
			return rack.Release{}, err
		}
		r.Description, r.Manifest = b.Description, b.Manifest
	}
	if p.env != nil {
		r.Env = rack.FormatEnv(rack.ParseEnv(*p.env))
		r.Description = "env " + rack.CompareEnv(latest.Variables(), r.Variables()).String()
	}
	if p.description != "" {
		r.Description = p.description
	}
	for {
		r.ID = rack.NewID("R")
		if err := s.Stores.Releases.AddRelease(ctx, r); !isConflict(err) {
			return r, err
		}
	}
}

// latest returns the newest release of an app, the zero one if it has none.
func (s *Server) latest(ctx context.Context, app string) (rack.Release, error) {
	rs, err := s.Stores.Releases.ListReleases(ctx, app, 1)
	if err != nil || len(rs) == 0 {
		return rack.Release{}, err
	}
	return rs[0], nil
}
