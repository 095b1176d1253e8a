package rackd

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/convox-ci/convox-ci/internal/manifest"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// order says what a process of a service gets in a release: the image of the
// release's build, and the service's environment.
func (s *Server) order(ctx context.Context, app, service, release string) (order, error) {
	rel, err := s.release(ctx, app, release)
	if err != nil {
		return order{}, err
	}
	if rel.Build == "" {
		return order{}, fault(http.StatusBadRequest, "release %s has no build", release)
	}
	b, err := s.build(ctx, app, rel.Build)
	if err != nil {
		return order{}, err
	}
	env := rel.Variables()
	m, err := manifest.Load([]byte(rel.Manifest), env)
	if err != nil {
		return order{}, fmt.Errorf("parse manifest of release %s: %w", release, err)
	}
	i := slices.IndexFunc(m.Services, func(s manifest.Service) bool { return s.Name == service })
	if i < 0 {
		return order{}, fault(http.StatusInternalServerError, "no such service: %s", service)
	}
	all := s.described(service, rel, b)
	maps.Copy(all, m.Services[i].Resolve(env))
	o := order{app: app, service: service, release: release, ref: fmt.Sprintf("%s/%s:%s.%s", s.Registry, app, service, rel.Build)}
	for name, value := range all {
		o.env = append(o.env, name+"="+value)
	}
	return o, nil
}

// described are the variables by which a process knows what it is. A Rack sets
// more, which are about the cloud it runs on.
func (s *Server) described(service string, r rack.Release, b rack.Build) map[string]string {
	return map[string]string{
		"APP": r.App, "BUILD": b.ID, "BUILD_DESCRIPTION": b.Description, "BUILD_GIT_SHA": b.GitSHA,
		"RACK": s.Name, "RELEASE": r.ID, "SERVICE": service,
	}
}
