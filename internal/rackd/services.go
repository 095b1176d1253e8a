package rackd

import (
	"net/http"

	"github.com/gorilla/mux"

	"github.com/convox-ci/convox-ci/internal/manifest"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// listServices lists the services of the active release, in the order of its
// manifest. None of them runs here, nor is reached: they have no processes, no
// domain and no ports.
func (s *Server) listServices(w http.ResponseWriter, r *http.Request) error {
	app, err := s.app(r.Context(), mux.Vars(r)["app"])
	if err != nil {
		return err
	}
	list := []rack.Service{}
	if app.Release == "" {
		return render(w, list)
	}
	active, err := s.release(r.Context(), app.Name, app.Release)
	if err != nil {
		return err
	}
	m, err := manifest.Load([]byte(active.Manifest), active.Variables())
	if err != nil {
		return err
	}
	for _, service := range m.Services {
		list = append(list, rack.Service{Name: service.Name})
	}
	return render(w, list)
}
