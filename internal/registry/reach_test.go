package registry_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/convox-ci/convox-ci/internal/registry"
)

// TestAddressesThatAreNotAsked dials nothing: an address is judged before.
func TestAddressesThatAreNotAsked(t *testing.T) {
	for host, always := range map[string]bool{
		"169.254.169.254": true, "[fe80::1]": true, "[fd00:ec2::254]": true, "100.100.100.200": true, "[::ffff:169.254.169.254]": true,
		"[64:ff9b::a9fe:a9fe]": true, "0.0.0.0": true, "[::]": true, "224.0.0.1": true, "[ff02::1]": true,
		"10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "100.64.0.1": false, "[fd12::1]": false, "127.0.0.1": false, "[::1]": false,
		"localhost": false, "0.1.2.3": false, "[64:ff9b::0a01:0203]": false, "[::ffff:127.0.0.1]": false,
	} {
		for _, private := range []bool{false, true} {
			if private && !always {
				continue // it would be dialled
			}
			r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+host+":1/v2/", nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := registry.Guarded("", private).RoundTrip(r)
			if err == nil {
				res.Body.Close()
			}
			if !errors.Is(err, registry.ErrRefused) {
				t.Errorf("%s, private %v: %v", host, private, err)
			}
		}
	}
}

// TestGuardedPull pulls from registries on this machine: from the own one, from
// another only if that is allowed, and from none that the own one redirects to.
func TestGuardedPull(t *testing.T) {
	var asked atomic.Int32
	secret := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer secret.Close()
	own := httptest.NewServer(http.RedirectHandler(secret.URL+"/v2/secret", http.StatusTemporaryRedirect))
	defer own.Close()
	host := func(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }
	c := &registry.Client{Transport: registry.Guarded(host(own), false)}
	if _, err := c.Image(t.Context(), host(secret)+"/a:1"); !errors.Is(err, registry.ErrRefused) {
		t.Errorf("a private registry: %v", err)
	}
	if _, err := c.Image(t.Context(), host(own)+"/a:1"); err == nil {
		t.Error("a redirect was followed")
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("what must not be reached was asked %d times", n)
	}
	c = &registry.Client{Transport: registry.Guarded(host(own), true)}
	if _, err := c.Image(t.Context(), host(secret)+"/a:1"); errors.Is(err, registry.ErrRefused) || asked.Load() == 0 {
		t.Errorf("a private registry that is allowed: %v", err)
	}
}
