package rack_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/wire"
)

// probes are the calls of our client that send what a server was probed with: by
// method, target and body. Headers that no client sends do not count.
var probes = map[string]func(context.Context, *rack.Client) (any, error){
	"GET /system":    func(ctx context.Context, c *rack.Client) (any, error) { return c.System(ctx) },
	"GET /racks":     func(ctx context.Context, c *rack.Client) (any, error) { return c.Racks(ctx) },
	"GET /apps/none": func(ctx context.Context, c *rack.Client) (any, error) { return c.App(ctx, "none") },
	"GET /apps/myapp": func(ctx context.Context, c *rack.Client) (any, error) {
		return c.App(ctx, "myapp")
	},
	"POST /apps name=MyApp": func(ctx context.Context, c *rack.Client) (any, error) { return c.CreateApp(ctx, "MyApp") },
	"POST /apps name=myapp": func(ctx context.Context, c *rack.Client) (any, error) { return c.CreateApp(ctx, "myapp") },
	"POST /apps name=rack":  func(ctx context.Context, c *rack.Client) (any, error) { return c.CreateApp(ctx, "rack") },
	"POST /apps name=fake":  func(ctx context.Context, c *rack.Client) (any, error) { return c.CreateApp(ctx, "fake") },
	"POST /apps/myapp/cancel": func(ctx context.Context, c *rack.Client) (any, error) {
		return nil, c.CancelApp(ctx, "myapp")
	},

	"GET /apps/myapp/builds?limit=1": func(ctx context.Context, c *rack.Client) (any, error) { return c.Builds(ctx, "myapp", 1) },
	"GET /apps/myapp/builds?limit=4": func(ctx context.Context, c *rack.Client) (any, error) { return c.Builds(ctx, "myapp", 4) },
	"GET /apps/myapp/builds/BNONE":   func(ctx context.Context, c *rack.Client) (any, error) { return c.Build(ctx, "myapp", "BNONE") },
	"GET /apps/myapp/releases/RNONE": func(ctx context.Context, c *rack.Client) (any, error) { return c.Release(ctx, "myapp", "RNONE") },
	"GET /apps/myapp/processes/none": func(ctx context.Context, c *rack.Client) (any, error) { return c.Process(ctx, "myapp", "none") },
	"DELETE /apps/myapp/processes/none": func(ctx context.Context, c *rack.Client) (any, error) {
		return nil, c.StopProcess(ctx, "myapp", "none")
	},
	"POST /apps/myapp/releases env=A%3D1": func(ctx context.Context, c *rack.Client) (any, error) {
		env := "A=1"
		return c.CreateRelease(ctx, "myapp", rack.ReleaseOptions{Env: &env})
	},
	"POST /apps/myapp/builds url=object%3A%2F%2Fmyapp%2Fnone&build-args=A%3D1%2CB": func(ctx context.Context, c *rack.Client) (any, error) {
		return c.CreateBuild(ctx, "myapp", "object://myapp/none", rack.BuildOptions{BuildArgs: []string{"A=1", "B"}})
	},

	"POST /apps/updating/releases/RNEWRELEASE/promote": func(ctx context.Context, c *rack.Client) (any, error) {
		return nil, c.Promote(ctx, "updating", "RNEWRELEASE", false)
	},
	"POST /apps/updating/releases/RNEWRELEASE/promote force=true": func(ctx context.Context, c *rack.Client) (any, error) {
		return nil, c.Promote(ctx, "updating", "RNEWRELEASE", true)
	},
	"POST /apps/myapp/releases/ROLDRELEASE/promote": func(ctx context.Context, c *rack.Client) (any, error) {
		return nil, c.Promote(ctx, "myapp", "ROLDRELEASE", false)
	},
	"POST /apps/myapp/releases/RNONE/promote": func(ctx context.Context, c *rack.Client) (any, error) {
		return nil, c.Promote(ctx, "myapp", "RNONE", false)
	},
	"POST /apps/myapp/objects/tmp/a.tgz hello": func(ctx context.Context, c *rack.Client) (any, error) {
		return c.PutObject(ctx, "myapp", "tmp/a.tgz", opened([]byte("hello")))
	},
}

// unasked are the probes that our client has no call for, by how they begin.
var unasked = map[string]string{
	"GET /auth":   "it asks for the rack or an app instead",
	"GET /check":  "for balancers",
	"GET /nosuch": "no path of the API",
	"GET /apps//": "likewise", "GET /apps/myapp/ ": "likewise", "POST /system": "no method of a path, or what is above it",
	"PATCH ": "likewise", "OPTIONS ": "likewise", "HEAD ": "likewise", "PUT ": "nothing is changed in place",
	"GET /machines": "of Convox Cloud", "POST /apps ": "an app without a name is refused before",
	"GET /apps/myapp/builds/BSEEDBUILDA/logs": "a stream, without an upgrade",
	"GET /apps/myapp/builds?limit=x":          "limits are numbers", "GET /apps/myapp/releases?limit=abc": "likewise",
	"POST /apps/myapp/services/web/processes":                   "with options that are not sent",
	"POST /apps/myapp/builds url=object%3A%2F%2Fmyapp%2Fnone&b": "build arguments in another form",
	"POST /apps/myapp/releases ":                                "too large to be kept here, and to be sent",
	"POST /apps/myapp/objects":                                  "a key of the rack's choice, or a form in the place of bytes",
	"GET /apps/myapp/objects":                                   "objects are not read", "DELETE /apps/myapp/objects": "nor taken away",
	"POST /registries": "there is no command for them", "GET /registries": "likewise", "DELETE /registries": "likewise",
	"GET /apps/myapp/services": "likewise", "GET /apps/myapp/processes?service=worker": "all are asked for",
	"GET /system/releases": "there is no command for them", "POST /events": "what a builder tells its rack",
}

// leftOut tells whether a probe is one of those.
func leftOut(what string) bool {
	for begin := range unasked {
		if strings.HasPrefix(what+" ", begin) {
			return true
		}
	}
	return false
}

// kinds are those of the errors of probes, by what the rack says.
var kinds = map[string]error{
	"invalid authentication": rack.ErrUnauthorized,
	"invalid authentication: token contains an invalid number of segments": rack.ErrUnauthorized,
	"you are unauthorized to access this":                                  rack.ErrUnauthorized,
	"":                                                                     rack.ErrUnsupported,
	"app not found: none":                                                  rack.ErrNotFound,
	`{"error":"app not found: none"}`:                                      rack.ErrNotFound,
	"build not found: BNONE":                                               rack.ErrNotFound,
	"release not found: RNONE":                                             rack.ErrNotFound,
	"process not found: none":                                              rack.ErrNotFound,
	`builds.convox.com "bnone" not found`:                                  rack.ErrNotFound,
	`releases.convox.com "rnone" not found`:                                rack.ErrNotFound,
	`pods "none" not found`:                                                rack.ErrNotFound,
	"app is not updating":                                                  rack.ErrForbidden,
	"app is currently updating":                                            rack.ErrForbidden,
	"invalid build args":                                                   nil,
	"can not promote an older release, try rollback":                       nil,
	"App name cannot contain Uppercase characters":                         nil,
	"App name cannot be same as Rack name":                                 nil,
	"app name is reserved":                                                 nil,
	"app already exists: myapp":                                            nil, // v3 says so by its status too
}

// TestContractProbes has the client make what requests it can of those that
// servers were probed with.
func TestContractProbes(t *testing.T) {
	for _, server := range []string{"v2", "v3"} {
		made := map[string]int{}
		for _, p := range wire.Probes(t, server+"-probes") {
			what := strings.TrimSpace(p.Method + " " + strings.TrimSuffix(p.Target(), "?") + " " + p.Sent)
			ask := probes[what]
			if ask == nil {
				if !leftOut(what) {
					t.Errorf("%s is neither asked for nor left out for a reason", what)
				}
				continue
			}
			made[what]++
			bubble(t, server+" "+what, func(t *testing.T) {
				got, err := ask(t.Context(), probed(t, p))
				if p.Status < 400 || p.Method == "DELETE" { // what is gone need not be ended
					if err != nil {
						t.Fatal(err)
					}
					if got != nil {
						carries(t, p.Body, got)
					}
					return
				}
				wantRefusal(t, err, p)
			})
		}
		for what := range probes {
			if made[what] == 0 {
				t.Errorf("no %s server was probed with %s", server, what)
			}
		}
	}
}

func wantRefusal(t *testing.T, err error, p wire.Probe) {
	t.Helper()
	said := strings.TrimSpace(p.Body)
	kind, known := kinds[said]
	var e *rack.Error
	if !known || !errors.As(err, &e) || e.Status != p.Status || kind != nil && !errors.Is(err, kind) {
		t.Errorf("error is %v, of %d %q, want %v", err, p.Status, p.Body, kind)
		return
	}
	said = strings.TrimSuffix(strings.TrimPrefix(said, `{"error":"`), `"}`)
	if e.Message != said {
		t.Errorf("message is %q, want %q", e.Message, said)
	}
}

// probed is a client of a server that answers one probe, with the credentials of
// the probe: those that no client has, none at all, are left out.
func probed(t *testing.T, p wire.Probe) *rack.Client {
	t.Helper()
	user := url.UserPassword("convox", "")
	if basic, ok := strings.CutPrefix(p.Headers["Authorization"], "Basic "); ok {
		pair, err := base64.StdEncoding.DecodeString(basic)
		if err != nil {
			t.Fatal(err)
		}
		name, password, _ := strings.Cut(string(pair), ":")
		user = url.UserPassword(name, password)
	}
	e, err := rack.Direct((&url.URL{Scheme: "http", User: user, Host: "rack.invalid"}).String())
	if err != nil {
		t.Fatal(err)
	}
	return rack.New(e, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != p.Method || r.URL.Path != p.Path || r.URL.RawQuery != p.Query || !sameBody(r, string(body), p) {
			t.Errorf("%s %s with %q, want %s %s with %q", r.Method, r.URL, body, p.Method, p.Target(), p.Sent)
		}
		if want, got := p.Headers["Authorization"], r.Header.Get("Authorization"); want != "" && got != want {
			t.Errorf("authorization is %q, want %q", got, want)
		}
		for name, value := range p.ResponseHeaders {
			w.Header().Set(name, value)
		}
		w.WriteHeader(p.Status)
		io.WriteString(w, p.Body)
	})), nil)
}

// sameBody tells whether two bodies say the same: forms have no order.
func sameBody(r *http.Request, body string, p wire.Probe) bool {
	if r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		return body == p.Sent
	}
	got, err := url.ParseQuery(body)
	want, wrong := url.ParseQuery(p.Sent)
	return err == nil && wrong == nil && reflect.DeepEqual(got, want)
}
