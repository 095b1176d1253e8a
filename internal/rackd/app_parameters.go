package rackd

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/gorilla/mux"

	"github.com/convox-ci/convox-ci/internal/manifest"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// appParameter is one that an app of a v2 rack has. None has an effect here: they
// are about the cloud that its services run in.
type appParameter struct {
	unset   string
	allowed []string // nil for any text
}

// appParameters are those of every app; see the page of app parameters,
// https://docsv2.convox.com/reference/app-parameters.
var appParameters = map[string]appParameter{
	"CircuitBreaker": {"No", answers}, "FargateServices": {"No", answers}, "FargateTimers": {"No", answers},
	"IamPolicy": {"", nil}, "InternalDomains": {"Yes", answers}, "Isolate": {"No", answers}, "LogDriver": {"", nil},
	"LogRetention": {"", nil}, "Private": {"No", answers}, "RackUrl": {"No", answers}, "RedirectHttps": {"Yes", answers},
	"SecretsManagerEnv": {"No", answers}, "TaskTags": {"No", answers},
}

var answers = []string{"Yes", "No"}

// Parameters that say what is so and cannot be set: the rack of an app, and that
// its services are not run. The second is this rack's own, so that a client that
// shows an app shows it.
const (
	rackParameter     = "Rack"
	servicesParameter = "RunsServices"
)

// formation is the name of the parameter that the scale of a service is kept in:
// the words of its name, each with a capital, and Formation.
func formation(service string) string {
	var name strings.Builder
	for word := range strings.SplitSeq(strings.ReplaceAll(service, "_", "-"), "-") {
		if word != "" {
			name.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return name.String() + formationSuffix
}

const formationSuffix = "Formation"

var formationValue = regexp.MustCompile(`^[0-9]{1,9},[0-9]{1,9},[0-9]{1,9}$`)

// shownApp is an app with its parameters, also those that nobody has set.
func (s *Server) shownApp(a rack.App) rack.App {
	all := map[string]string{rackParameter: s.Name, servicesParameter: "No"}
	for name, p := range appParameters {
		all[name] = p.unset
	}
	maps.Copy(all, a.Parameters)
	all[rackParameter] = s.Name
	a.Parameters = all
	return a
}

// changeAppParts sets the lock and the parameters of an app: all that were
// given, or none.
func (s *Server) changeAppParts(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	given, err := url.ParseQuery(f.Get("parameters"))
	if err != nil {
		return err
	}
	ctx, name := r.Context(), mux.Vars(r)["app"]
	if err := s.checkParameters(ctx, name, given); err != nil {
		return err
	}
	err = s.changeApp(ctx, name, func(a *rack.App) error {
		if f.Has("lock") {
			a.Locked = f.Get("lock") == "true"
		}
		if len(given) > 0 {
			a.Parameters = maps.Clone(a.Parameters)
			if a.Parameters == nil {
				a.Parameters = map[string]string{}
			}
			for p := range given {
				a.Parameters[p] = given.Get(p)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return done(w)
}

// checkParameters refuses a value that a Rack refuses, in its words, and a name
// that it passes over without any: who sets it believes that it was set.
func (s *Server) checkParameters(ctx context.Context, app string, given url.Values) error {
	a, err := s.app(ctx, app)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		p, known := appParameters[name]
		switch {
		case !known:
			if err := s.checkFormation(ctx, a, name, given.Get(name)); err != nil {
				return err
			}
		case p.allowed != nil && !slices.Contains(p.allowed, given.Get(name)):
			return fault(http.StatusInternalServerError, "Parameter '%s' must be one of AllowedValues", name)
		}
	}
	return nil
}

// checkFormation checks the scale of a service, which only those of the active
// release have.
func (s *Server) checkFormation(ctx context.Context, app rack.App, name, value string) error {
	var services []manifest.Service
	var err error
	if strings.HasSuffix(name, formationSuffix) {
		services, err = s.declared(ctx, app)
	}
	switch {
	case err != nil:
		return err
	case !slices.ContainsFunc(services, func(s manifest.Service) bool { return formation(s.Name) == name }):
		return fault(http.StatusBadRequest, "no such parameter: %s", name)
	case !formationValue.MatchString(value):
		return fault(http.StatusInternalServerError, "Parameter '%s' must be COUNT,CPU,MEMORY", name)
	}
	return nil
}
