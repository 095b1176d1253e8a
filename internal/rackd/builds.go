package rackd

import (
	"context"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/gorilla/mux"

	"github.com/convox-ci/convox-ci/internal/rack"
)

func (s *Server) listBuilds(w http.ResponseWriter, r *http.Request) error {
	return answerList(s, w, r, s.Stores.Builds.ListBuilds)
}

func (s *Server) getBuild(w http.ResponseWriter, r *http.Request) error {
	return answerOne(w, r, s.build)
}

// build returns a build, or the answer for one that does not exist.
func (s *Server) build(ctx context.Context, app, id string) (rack.Build, error) {
	if _, err := s.app(ctx, app); err != nil {
		return rack.Build{}, err
	}
	b, err := s.Stores.Builds.Build(ctx, app, id)
	if isNotFound(err) {
		return b, fault(http.StatusNotFound, "build not found: %s", id)
	}
	return b, err
}

// createBuild checks everything that can be known before it records anything:
// unlike a v2 rack it leaves no build behind that was refused. The stored status
// is running when the answer goes out, since clients ask for the log at once.
func (s *Server) createBuild(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	app, err := s.app(r.Context(), mux.Vars(r)["app"])
	if err != nil {
		return err
	}
	if err := supported(app.Generation, "1"); err != nil { // before any cache is touched
		return err
	}
	if f.Get("external") == "true" {
		return s.createExternal(r.Context(), w, app.Name, f)
	}
	j := job{
		app: app.Name, source: f.Get("url"), manifest: f.Get("manifest"),
		development: f.Get("development") == "true", noCache: f.Get("no-cache") == "true",
	}
	if j.args, err = buildArgs(f); err != nil {
		return err
	}
	if _, _, ok := parseObjectURL(j.source); !ok {
		scheme, _, _ := strings.Cut(j.source, ":")
		return fault(http.StatusBadRequest, "only object:// sources are supported (got %s)", scheme)
	}
	if j.manifest == "" {
		j.manifest = "convox.yml"
	}
	j.manifest = path.Clean(j.manifest)
	b, err := s.begin(r.Context(), j, rack.Build{
		App: app.Name, Description: f.Get("description"), GitSHA: f.Get("git-sha"),
		WildcardDomain: f.Get("wildcard-domain") == "true",
	})
	if err != nil {
		return err
	}
	b.Status = rack.BuildCreated // as a v2 rack answers, whatever it has stored by then
	return render(w, b)
}

// buildArgs reads the build arguments. Clients join them by commas, so a value
// with a comma arrives in pieces: a piece without = belongs to the one before.
func buildArgs(f url.Values) ([]string, error) {
	var args []string
	for _, joined := range f["build-args"] {
		for i, piece := range strings.Split(joined, ",") {
			switch {
			case strings.Index(piece, "=") > 0:
				args = append(args, piece)
			case i > 0:
				args[len(args)-1] += "," + piece
			default:
				return nil, fault(http.StatusInternalServerError, "invalid build args")
			}
		}
	}
	return args, nil
}
