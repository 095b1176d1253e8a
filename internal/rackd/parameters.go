package rackd

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/gorilla/mux"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// parameter is one that an app of a v2 rack has. None has an effect here: they
// are about the cloud that its services run in.
type parameter struct {
	unset   string
	allowed []string // nil for any text
}

// appParameters are those of every app; see the page of app parameters,
// https://docsv2.convox.com/reference/app-parameters.
var appParameters = map[string]parameter{
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
	return name.String() + "Formation"
}

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
	app, err := s.app(ctx, name)
	if err != nil {
		return err
	}
	services, err := s.declared(ctx, app)
	if err != nil {
		return err
	}
	own := map[string]bool{}
	for _, service := range services {
		own[formation(service.Name)] = true
	}
	for p := range given {
		if err := checkParameter(p, given.Get(p), own); err != nil {
			return err
		}
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

// checkParameter refuses a value that a Rack refuses, in its words, and a name
// that it passes over without any: who sets it believes that it was set.
func checkParameter(name, value string, formations map[string]bool) error {
	if formations[name] {
		if !formationValue.MatchString(value) {
			return fault(http.StatusInternalServerError, "Parameter '%s' must be COUNT,CPU,MEMORY", name)
		}
		return nil
	}
	p, known := appParameters[name]
	switch {
	case !known:
		return fault(http.StatusBadRequest, "no such parameter: %s", name)
	case p.allowed != nil && !slices.Contains(p.allowed, value):
		return fault(http.StatusInternalServerError, "Parameter '%s' must be one of AllowedValues", name)
	}
	return nil
}
