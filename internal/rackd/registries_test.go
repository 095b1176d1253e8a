package rackd_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
	registries "github.com/convox-ci/convox-ci/internal/registry"
	"github.com/convox-ci/convox-ci/internal/wire"
)

// guarded is a registry that only serves one user, at an address of its own.
func guarded(t *testing.T, user, password string) (host string) {
	t.Helper()
	inner := registries.Embedded(t.Context(), t.TempDir(), "")
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); u != user || p != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="the test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(h.Close)
	return strings.TrimPrefix(h.URL, "http://")
}

// otherRegistry puts a registry where a recording names one.
func otherRegistry(t *testing.T, r wire.Recording) func(*rackd.Config) {
	t.Helper()
	host := guarded(t, "user", "p w,&")
	return func(c *rackd.Config) {
		c.Images = &registries.Client{Aliases: map[string]string{"registry.invalid": host}}
	}
}

func TestRegistries(t *testing.T) {
	host := guarded(t, "ann", "s3cret")
	m := start(t, func(c *rackd.Config) { c.Images = &registries.Client{} })
	for _, test := range []struct{ server, username, password, says string }{
		{"", "ann", "s3cret", "server must not be blank\n"},
		{host, " ", "s3cret", "username must not be blank\n"},
		{host, "ann", "", "password must not be blank\n"},
		{host, "ann", "wrong", "unable to authenticate\n"},
		{"http://" + host + "/v1/", "bob", "s3cret", "unable to authenticate\n"},
		{"127.0.0.1:5000", "ann", "s3cret", "can't add the rack's internal registry: 127.0.0.1:5000\n"},
		{"https://127.0.0.1:5000", "ann", "s3cret", "can't add the rack's internal registry: https://127.0.0.1:5000\n"},
	} {
		f := url.Values{"server": {test.server}, "username": {test.username}, "password": {test.password}}
		m.want(test.server+" by "+test.username, m.post("/registries", f), 500, test.says)
	}
	m.want("none", m.get("/registries"), 200, "[]\n")
	server := "http://" + host + "/v1/"
	want := rack.Registry{Server: server, Username: "ann", Password: "****"}
	if got := decode[rack.Registry](m, m.post("/registries", url.Values{"server": {server}, "username": {"ann"}, "password": {"s3cret"}})); got != want {
		t.Errorf("added %+v", got)
	}
	if list := decode[[]rack.Registry](m, m.get("/registries")); len(list) != 1 || list[0] != want {
		t.Errorf("list is %+v", list)
	}
	stored, err := m.stores.Registries.ListRegistries(t.Context())
	m.must(err)
	if len(stored) != 1 || stored[0].Password != "s3cret" {
		t.Errorf("stored is %d", len(stored))
	}

	b := m.create(nil)
	if log := m.log(b.ID); !strings.HasPrefix(log, "Authenticating "+server+": Login Succeeded\nBuilding: .\n") {
		t.Errorf("log is %q", log)
	}
	m.must(m.stores.Registries.PutRegistry(context.Background(), rack.Registry{Server: host, Username: "ann", Password: "changed"}))
	b = m.create(nil)
	if log := m.log(b.ID); !strings.HasPrefix(log, "ERROR: docker login https://"+host+": access denied") || strings.Contains(log, "changed") {
		t.Errorf("log is %q", log)
	}
	m.want("remove", m.do("DELETE", "/registries/"+host, nil, nil), 200, "ok\n")
	m.want("with a path", m.do("DELETE", "/registries/"+url.PathEscape(server), nil, nil), 200, "ok\n")
	m.want("again", m.do("DELETE", "/registries/"+host+"/v1", nil, nil), 404, "registry not found: "+host+"/v1\n")
	m.want("none", m.get("/registries"), 200, "[]\n")
}
