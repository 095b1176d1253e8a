package rackd

import (
	"context"
	"net/http"
	"regexp"
	"strings"

	"github.com/gorilla/mux"

	"github.com/convox-ci/convox-ci/internal/rack"
)

func (s *Server) getSystem(w http.ResponseWriter, r *http.Request) error {
	parameters, err := s.parameters(r.Context())
	if err != nil {
		return err
	}
	return render(w, rack.System{
		Count: 1, Domain: r.Host, RackDomain: r.Host, Name: s.Name,
		Provider: "local", Region: "local", Type: "local", Status: rack.AppRunning, Version: Version,
		Outputs: map[string]string{"Registry": s.Registry}, Parameters: parameters,
	})
}

func (s *Server) listApps(w http.ResponseWriter, r *http.Request) error {
	apps, err := s.Stores.Apps.ListApps(r.Context())
	if err != nil {
		return err
	}
	shown := []rack.App{} // an empty list, not null
	for _, a := range apps {
		shown = append(shown, s.shownApp(a))
	}
	return render(w, shown)
}

func (s *Server) getApp(w http.ResponseWriter, r *http.Request) error {
	a, err := s.app(r.Context(), mux.Vars(r)["app"])
	if err != nil {
		return err
	}
	return render(w, s.shownApp(a))
}

// app returns an app, or the answer for one that does not exist.
func (s *Server) app(ctx context.Context, name string) (rack.App, error) {
	a, err := s.Stores.Apps.App(ctx, name)
	if isNotFound(err) {
		return a, fault(http.StatusNotFound, "app not found: %s", name)
	}
	return a, err
}

// appName is what the names of apps are made of, further kept to what can begin
// the name of a repository in a registry.
var appName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)

// maxAppName bounds the name as a registry and a file name both allow it.
const maxAppName = 100

// generation is that of the apps that this rack builds, and of those that clients
// create without saying which. Apps of generation 1 are another language and another
// way to build; a client knows them by "1", and their records by that or by nothing.
const generation = "2"

// supported refuses another generation than ours. unsaid is what nothing means.
func supported(given, unsaid string) error {
	if given == "" {
		given = unsaid
	}
	if given == generation {
		return nil
	}
	return fault(http.StatusBadRequest, "generation %s is not supported: this rack builds apps of generation %s (convox.yml)", given, generation)
}

func (s *Server) createApp(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	name := f.Get("name")
	switch {
	case name == "":
		return fault(http.StatusBadRequest, "name is required")
	case strings.ToLower(name) != name:
		return fault(http.StatusInternalServerError, "App name cannot contain Uppercase characters")
	case !appName.MatchString(name) || len(name) > maxAppName:
		return fault(http.StatusInternalServerError, "App name can only contain lowercase letters, numbers, hyphens and underscores")
	case name == s.Name:
		return fault(http.StatusInternalServerError, "App name cannot be same as Rack name")
	case name == BuildCacheName(s.Name): // here their repositories are in one registry
		return fault(http.StatusInternalServerError, "App name cannot be same as the repository of the build cache")
	}
	if err := supported(f.Get("generation"), generation); err != nil {
		return err
	}
	a := rack.App{Generation: generation, Name: name, Status: rack.AppRunning, Parameters: map[string]string{}}
	err = s.Stores.Apps.SwapApp(r.Context(), rack.App{}, a)
	if isConflict(err) {
		return fault(http.StatusInternalServerError, "app already exists: %s", name)
	}
	if err != nil {
		return err
	}
	s.event("app:create", name, "")
	return render(w, s.shownApp(a))
}
