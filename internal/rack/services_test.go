package rack_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/wire"
)

func listServices(t *testing.T, r wire.Recording) {
	c, _ := play(t, r)
	ss, err := c.Services(t.Context(), "myapp")
	if err != nil {
		t.Fatal(err)
	}
	carries(t, answered(t, r, "GET", "/apps/myapp/services")[0].Body, ss)
	if ss[0].URL() != "https://myapp-web.fake.convox.invalid" || ss[1].URL() != "" {
		t.Errorf("%s is at %q, %s at %q", ss[0].Name, ss[0].URL(), ss[1].Name, ss[1].URL())
	}
}

func TestServiceURLs(t *testing.T) {
	port := func(n int, certificate string) rack.ServicePort {
		return rack.ServicePort{Balancer: n, Certificate: certificate, Container: 3000}
	}
	for _, test := range []struct {
		name, domain string
		ports        []rack.ServicePort
		want         []string
		shown        string
	}{
		{"both", "a.example", []rack.ServicePort{port(80, ""), port(443, "acm-1")}, []string{"http://a.example", "https://a.example"}, "https://a.example"},
		{"v3 names no certificate", "a.example", []rack.ServicePort{port(443, "")}, []string{"https://a.example"}, "https://a.example"},
		{"twice", "a.example", []rack.ServicePort{port(443, ""), port(443, "x")}, []string{"https://a.example"}, "https://a.example"},
		{"others", "a.example", []rack.ServicePort{port(8443, "x"), port(8080, ""), port(0, "")}, []string{"http://a.example:8080", "https://a.example:8443"}, "https://a.example:8443"},
		{"plain", "a.example", []rack.ServicePort{port(80, "")}, []string{"http://a.example"}, "http://a.example"},
		{"no ports", "a.example", nil, nil, ""},
		{"no domain", "", []rack.ServicePort{port(443, "x")}, nil, ""},
		{"wildcard", "*.a.example", []rack.ServicePort{port(443, "x")}, nil, ""},
		{"no host name", "a.example/@b?", []rack.ServicePort{port(443, "x")}, nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := rack.Service{Domain: test.domain, Ports: test.ports}
			if d := cmp.Diff(test.want, s.URLs()); d != "" || s.URL() != test.shown {
				t.Errorf("shown %q, want %q; all (-want +got):\n%s", s.URL(), test.shown, d)
			}
		})
	}
}

// FuzzServiceURLs: whatever a rack says, a URL of it leads to the host that it
// named and nowhere else.
func FuzzServiceURLs(f *testing.F) {
	f.Add(`{"domain":"a.example","ports":[{"balancer":443}]}`)
	f.Add(`{"domain":"a.example@b","ports":[{"balancer":8080,"certificate":"x"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		var s rack.Service
		if json.Unmarshal([]byte(text), &s) != nil {
			t.Skip()
		}
		for _, u := range s.URLs() {
			_, rest, _ := strings.Cut(u, "://")
			host, _, _ := strings.Cut(rest, ":")
			if host != s.Domain || strings.ContainsAny(rest, "/@?# \\") {
				t.Errorf("%q of %q", u, s.Domain)
			}
		}
	})
}
