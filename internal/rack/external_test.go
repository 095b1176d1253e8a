package rack_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// TestStartExternal: a build whose answer was lost has lost its repository with it.
// It does not stay behind, and one of another client that is alike is left alone.
func TestStartExternal(t *testing.T) {
	o := rack.BuildOptions{Description: "this one", GitSHA: "0123abc", BuildArgs: []string{"LIST=a,b"}}
	for name, test := range map[string]struct {
		times  int64 // so many answers are lost
		done   int   // how often the rack has done it by then
		deaf   bool  // and nobody may look
		failed int   // builds that are recorded as such
		other  bool  // another client records a build alike at the same time
		err    error // nil for a build with its repository
	}{
		"nothing is lost":             {},
		"not done":                    {times: 1},
		"done":                        {times: 1, done: 1, failed: 1},
		"done twice":                  {times: 2, done: 1, failed: 2},
		"done, and another's":         {times: 1, done: 1, failed: 1, other: true},
		"not done, and another's":     {times: 1, other: true},
		"done, and nobody may look":   {times: 1, done: 1, deaf: true, err: rack.ErrUnavailable},
		"done each time":              {times: 100, done: 1, failed: 5, err: rack.ErrUnavailable},
		"done, and the client is off": {times: 1, done: 1, failed: 1, err: context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				way := losing{to: s.way, times: test.times, done: test.done, deaf: test.deaf}
				way.left = func() {
					if errors.Is(test.err, context.Canceled) {
						cancel()
					}
					if test.other {
						other, err := s.calm.CreateBuild(t.Context(), "web", "", rack.BuildOptions{External: true, Description: o.Description, GitSHA: o.GitSHA})
						if err != nil {
							t.Error(err)
						}
						time.AfterFunc(500*time.Millisecond, func() { // behind the first look
							s.calm.UpdateBuild(t.Context(), "web", other.ID, rack.BuildChanges{Manifest: "services:\n"})
						})
					}
				}
				said := &notices{}
				b, err := rack.New(direct(t), &way, said.add).StartExternal(ctx, "web", o)
				if !errors.Is(err, test.err) || (err == nil) != (b.ID != "" && userOf(b.Repository) == "convox:secret-of-the-rack") {
					t.Errorf("build %+v, error %v\n%s", b, err, strings.Join(said.all(), "\n"))
				}
				builds, err := s.calm.Builds(t.Context(), "web", 0)
				if err != nil {
					t.Fatal(err)
				}
				count := map[string]int{}
				for _, b := range builds {
					count[b.Status]++
				}
				open := count[rack.BuildCreated]
				if test.other {
					open--
				}
				if want := test.err == nil; want != (open == 1) && !test.deaf || count[rack.BuildFailed] != test.failed {
					t.Errorf("builds are %v\n%s", count, strings.Join(said.all(), "\n"))
				}
				if strings.Contains(strings.Join(said.all(), ""), "secret-of-the-rack") {
					t.Errorf("the password was said: %q", said.all())
				}
			})
		})
	}
}

// TestStartExternalSparesTheRack: a build that the rack makes itself of the same commit
// is none whose answer was lost.
func TestStartExternalSparesTheRack(t *testing.T) {
	o := rack.BuildOptions{Description: "this one", GitSHA: "0123abc"}
	for what, value := range map[string]string{"process": "build-web", "status": rack.BuildRunning} {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t)
			var source rack.Build
			way := losing{times: 1, to: roundTripper(func(r *http.Request) (*http.Response, error) {
				res, err := s.way.RoundTrip(r)
				if err != nil || source.ID == "" || r.Method != http.MethodGet || r.URL.Path != "/apps/web/builds" {
					return res, err
				}
				var builds []map[string]any
				err = json.NewDecoder(res.Body).Decode(&builds)
				for _, b := range builds {
					if b["id"] == source.ID {
						b[what] = value
					}
				}
				text, err2 := json.Marshal(builds)
				res.Body = io.NopCloser(bytes.NewReader(text))
				return res, errors.Join(err, err2)
			})}
			way.left = func() {
				var err error
				if source, err = s.calm.CreateBuild(t.Context(), "web", "", rack.BuildOptions{External: true, Description: o.Description, GitSHA: o.GitSHA}); err != nil {
					t.Error(err)
				}
			}
			made, err := rack.New(direct(t), &way, nil).StartExternal(t.Context(), "web", o)
			if err != nil || made.ID == source.ID {
				t.Errorf("%s: made %+v, %v", what, made, err)
			}
			if b, err := s.calm.Build(t.Context(), "web", source.ID); err != nil || b.Status != rack.BuildCreated {
				t.Errorf("%s: the rack's own is %+v, %v", what, b, err)
			}
		})
	}
}

// userOf is the user and the password in a URL.
func userOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.User == nil {
		return ""
	}
	return u.User.String()
}
