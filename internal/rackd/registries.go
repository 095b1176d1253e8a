package rackd

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/gorilla/mux"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// masked stands for a password, in the way of passwords among parameters.
const masked = "****"

// listRegistries leaves the passwords out: nobody needs them back.
func (s *Server) listRegistries(w http.ResponseWriter, r *http.Request) error {
	all, err := s.Stores.Registries.ListRegistries(r.Context())
	if err != nil {
		return err
	}
	for i := range all {
		all[i].Password = masked
	}
	return render(w, append([]rack.Registry{}, all...))
}

// addRegistry keeps the credentials of a registry that takes them. They are used
// for all that builds pull and push from then on.
func (s *Server) addRegistry(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	for _, option := range []string{"server", "username", "password"} {
		if strings.TrimSpace(f.Get(option)) == "" {
			return fault(http.StatusInternalServerError, "%s must not be blank", option)
		}
	}
	added := rack.Registry{Server: f.Get("server"), Username: f.Get("username"), Password: f.Get("password")}
	if _, host, ok := strings.Cut(added.Server, "://"); added.Server == s.host() || ok && host == s.host() {
		return fault(http.StatusInternalServerError, "can't add the rack's internal registry: %s", added.Server)
	}
	if s.Images == nil {
		return fault(http.StatusNotImplemented, "this rack asks no registries")
	}
	if err := s.Images.Login(r.Context(), added.Server, added.Username, added.Password); err != nil {
		s.say("registry %s: %v", added.Server, err)
		return fault(http.StatusInternalServerError, "unable to authenticate")
	}
	if err := s.Stores.Registries.PutRegistry(r.Context(), added); err != nil {
		return err
	}
	added.Password = masked
	return render(w, added)
}

func (s *Server) removeRegistry(w http.ResponseWriter, r *http.Request) error {
	server := mux.Vars(r)["server"]
	err := s.Stores.Registries.RemoveRegistry(r.Context(), server)
	if isNotFound(err) {
		return fault(http.StatusNotFound, "registry not found: %s", server)
	}
	if err != nil {
		return err
	}
	return done(w)
}

// logIn tries the credentials of all registries that were added, as a Rack's
// builder does before all else: one that does not take them ends the build. A
// builder on Fargate does not log in; here its images come with the credentials
// all the same.
func (s *Server) logIn(ctx context.Context, j job, log io.Writer) error {
	if j.fargate {
		return nil
	}
	all, err := s.Stores.Registries.ListRegistries(ctx)
	if err != nil {
		return err
	}
	for _, r := range all {
		server := r.Server
		if !strings.Contains(server, "://") {
			server = "https://" + server
		}
		if s.Images == nil {
			return fmt.Errorf("docker login %s: this rack asks no registries", server)
		}
		if err := s.Images.Login(ctx, r.Server, r.Username, r.Password); err != nil {
			return fmt.Errorf("docker login %s: %w", server, err)
		}
		fmt.Fprintf(log, "Authenticating %s: Login Succeeded\n", server)
	}
	return nil
}
