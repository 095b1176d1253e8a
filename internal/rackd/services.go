package rackd

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/gorilla/mux"

	"github.com/convox-ci/convox-ci/internal/manifest"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// declared are the services of an app's active release, read with the latest
// environment as a v2 rack does; none before the first promote.
func (s *Server) declared(ctx context.Context, app rack.App) ([]manifest.Service, error) {
	if app.Release == "" {
		return nil, nil
	}
	active, err := s.release(ctx, app.Name, app.Release)
	if err != nil {
		return nil, err
	}
	latest, err := s.latest(ctx, app.Name)
	if err != nil {
		return nil, err
	}
	m, err := manifest.Load([]byte(active.Manifest), latest.Variables())
	if err != nil {
		return nil, err
	}
	return m.Services, nil
}

// listServices answers with what is wanted of each service. It has neither a
// domain nor ports: nothing listens.
func (s *Server) listServices(w http.ResponseWriter, r *http.Request) error {
	app, err := s.app(r.Context(), mux.Vars(r)["app"])
	if err != nil {
		return err
	}
	services, err := s.declared(r.Context(), app)
	if err != nil {
		return err
	}
	list := []rack.Service{}
	for _, service := range services {
		list = append(list, wanted(app, service))
	}
	return render(w, list)
}

// wanted is the scale of a service: what was set last, else what the manifest says.
func wanted(app rack.App, s manifest.Service) rack.Service {
	to := rack.Service{Name: s.Name, Count: s.Scale.Count.Min, CPU: s.Scale.CPU, Memory: s.Scale.Memory}
	parts := strings.Split(app.Parameters[formation(s.Name)], ",")
	for i, field := range []*int{&to.Count, &to.CPU, &to.Memory} {
		if len(parts) == 3 {
			*field, _ = strconv.Atoi(parts[i]) // it was checked when it was set
		}
	}
	return to
}

// scaleService records how many processes of a service are wanted, and how large.
func (s *Server) scaleService(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	ctx, name := r.Context(), mux.Vars(r)["service"]
	given := map[string]int{}
	for _, option := range []string{"count", "cpu", "memory"} {
		if !f.Has(option) {
			continue
		}
		if given[option], err = strconv.Atoi(f.Get(option)); err != nil {
			return err
		}
		if given[option] < 0 {
			return fault(http.StatusBadRequest, "%s must not be below 0", option)
		}
	}
	err = s.changeApp(ctx, mux.Vars(r)["app"], func(a *rack.App) error {
		services, err := s.declared(ctx, *a)
		if err != nil {
			return err
		}
		for _, service := range services {
			if service.Name == name {
				a.Parameters = scaled(*a, service, given)
				return nil
			}
		}
		return fault(http.StatusNotFound, "no such service: %s", name)
	})
	if err != nil {
		return err
	}
	s.event("app:scale", mux.Vars(r)["app"], "the scale of "+name+" is recorded; this rack runs no services")
	return done(w)
}

// scaled are the parameters of an app with another scale of a service.
func scaled(app rack.App, s manifest.Service, given map[string]int) map[string]string {
	to := wanted(app, s)
	for option, field := range map[string]*int{"count": &to.Count, "cpu": &to.CPU, "memory": &to.Memory} {
		if n, ok := given[option]; ok {
			*field = n
		}
	}
	all := map[string]string{formation(s.Name): fmt.Sprintf("%d,%d,%d", to.Count, to.CPU, to.Memory)}
	for name, value := range app.Parameters {
		if _, known := all[name]; !known {
			all[name] = value
		}
	}
	return all
}
