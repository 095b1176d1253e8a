package rackd_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/wire"
)

// odd are the probes that our rack answers otherwise than a v2 rack, by how they
// begin: what they are about, method, target and body.
var odd = map[string]string{
	"auth: GET /system? by jwt":                                                "a token is a wrong password like any other: this rack gives none",
	"auth: GET /apps/myapp? by jwt":                                            "likewise",
	"auth: POST /apps/myapp/releases? by jwt":                                  "likewise",
	"auth: POST /system/jwt/token?":                                            "likewise",
	`errors: POST /apps? by convox, ""`:                                        "an app without a name is refused",
	"options decode: GET /apps/myapp?":                                         "an update of before is over",
	"registries: GET /apps/myapp?":                                             "likewise",
	`options decode: POST /apps/myapp/services/web/processes? by convox, "" x`: "limits of memory are not read",
	`options decode: POST /apps/myapp/services/web/processes? by convox, "c`:   "a process without a command is refused, since no service runs here",
	`build args: POST /apps/myapp/builds? by convox, "url=object%3A%2F%2Fmyapp%2Fnone&build-args=A%3D1%2CB"`: "a value with a comma is put together again",
	"build args: GET /apps/myapp/builds?limit=4":                                                             "so that is built; and where a build was refused there is none, while a v2 rack shows it as created for ever",
	"objects: GET /apps/myapp/objects/form.tgz?":                                                             "what is sent as a form is kept too",
}

// TestProbes sends what a v2 rack was probed with, in its order, and compares
// the answers. What is on the list must differ.
func TestProbes(t *testing.T) {
	m := resume(t, t.TempDir(), password("rackpassword"), func(c *rackd.Config) { c.Name = "fake" }, running(t))
	probes := wire.Probes(t, "v2-probes")
	s := &session{machine: m, Recording: wire.Recording{Name: "v2-ps", Server: "v2", Argv: []string{"convox", "ps"}}, ids: map[string]string{}}
	for _, p := range probes {
		s.Exchanges = append(s.Exchanges, p.Exchange)
	}
	s.seed()
	s.seedProcesses()
	met := map[string]bool{}
	for _, p := range probes {
		if p.Sent == "" && p.BodyBytes > 0 {
			continue // too large to be kept
		}
		what := fmt.Sprintf("%s: %s %s by %s, %q %s", p.About, p.Method, p.Target(), userOf(p), p.Sent, p.Headers["Memory"])
		d := s.probe(p)
		why := oddly(what)
		met[why] = true
		switch {
		case d != "" && why == "":
			t.Errorf("%s (-v2 rack +ours):\n%s", what, d)
		case d == "" && why != "":
			t.Errorf("%s is answered as by a v2 rack, although %s", what, odd[why])
		}
	}
	for why := range odd {
		if !met[why] {
			t.Errorf("nothing was probed that begins with %q", why)
		}
	}
}

// userOf is the name that a probe was sent by, "" if there was none. A rack only
// minds that of a token.
func userOf(p wire.Probe) string {
	r := http.Request{Header: http.Header{"Authorization": {p.Headers["Authorization"]}}}
	user, _, _ := r.BasicAuth()
	return user
}

// oddly is the entry of the list for a probe, "" if there is none.
func oddly(what string) string {
	for begin := range odd {
		if strings.HasPrefix(what, begin) {
			return begin
		}
	}
	return ""
}

// probe sends one and tells in what the answer differs.
func (s *session) probe(p wire.Probe) string {
	s.Helper()
	h := s.header(p.Exchange)
	if h.Get("Authorization") == "" {
		h["Authorization"] = nil // none at all
	}
	var body io.Reader = http.NoBody
	if p.Sent != "" {
		body = strings.NewReader(s.mapped(p.Sent))
	}
	got := s.do(p.Method, s.mapped(p.Target()), h, body)
	if p.Status < 400 && got.status < 400 {
		s.bind(p.Body, got.body)
	}
	said := func(status int, kind, text string) []string {
		lines := []string{fmt.Sprint(status), kind}
		if kind == "application/json" && text != "" {
			return append(lines, leaves(s.T, route(p.Exchange), chosenKey.ReplaceAllString(text, "tmp/chosen"))...)
		}
		return append(lines, text)
	}
	return cmp.Diff(said(p.Status, p.ResponseHeaders["Content-Type"], s.mapped(p.Body)), said(got.status, got.header.Get("Content-Type"), got.body))
}

// chosenKey is the key of an object that was left to the rack.
var chosenKey = regexp.MustCompile(`tmp/[0-9a-f]{30}`)
