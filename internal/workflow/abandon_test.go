package workflow_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/convox-ci/convox-ci/internal/commit"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// TestBuildThatIsAbandoned: a rack that can is told to end it, one that cannot
// has its builder ended where that is known, and else it is said that it goes on.
func TestBuildThatIsAbandoned(t *testing.T) {
	for _, test := range []struct {
		name            string
		cancel          int // status of the answer to cancelling
		process, status string
		ended           bool
		stopped         string
		says            string
	}{
		{"can", 200, "", rack.BuildRunning, true, "", "Build B was cancelled on the rack"},
		{"cannot, builder known", 404, "builder-1", rack.BuildRunning, true, "/apps/shop/processes/builder-1", "Build B was cancelled on the rack"},
		{"cannot, builder unknown", 404, "", rack.BuildRunning, false, "", "goes on: this rack cannot cancel a build"},
		{"cannot, over", 405, "", rack.BuildFailed, true, "", "Build B has ended on the rack"},
		{"too late", 409, "", rack.BuildComplete, true, "", "Build B has ended on the rack"},
		{"fails", 500, "", rack.BuildRunning, false, "", "could not be cancelled and may go on"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				over := errors.New("over")
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				stopped := ""
				var seen atomic.Bool
				j, s := bubbled(t, running, func(r *http.Request) (int, string) {
					build := func(status string) (int, string) {
						return 200, `{"id":"B","app":"shop","status":"` + status + `","process":"` + test.process + `"}`
					}
					switch r.Method + " " + r.URL.Path {
					case "POST /apps/shop/builds":
						return build(rack.BuildRunning)
					case "GET /apps/shop/builds/B/logs":
						return 503, ""
					case "GET /apps/shop/builds/B":
						if seen.Swap(true) {
							return build(test.status)
						}
						time.AfterFunc(500*time.Millisecond, func() { cancel(over) })
						return build(rack.BuildRunning)
					case "POST /apps/shop/builds/B/cancel":
						return test.cancel, ""
					}
					if r.Method == http.MethodDelete {
						stopped = r.URL.Path
						return 200, "{}"
					}
					return 0, ""
				})
				j.Commit = func(context.Context, string) commit.Commit { return commit.Commit{} }
				in := workflow.BuildInputs{Target: target, BuildLimits: workflow.BuildLimits{Limits: workflow.Limits{Timeout: time.Hour}}}
				in.Context, in.Manifest = tree(t, map[string]string{"convox.yml": imageManifest}), "convox.yml"
				_, err := workflow.Build(ctx, j, in)
				var left *workflow.LeftError
				if !errors.Is(err, over) || !errors.As(err, &left) || left.Ended != test.ended || left.What != "build B" || stopped != test.stopped || !strings.Contains(s.String(), test.says) {
					t.Errorf("%v, stopped %q\n%s", err, stopped, s)
				}
				s.has(t, map[string]string{"status": "cancelled", "build": "B"})
			})
		})
	}
}

// TestHookInputs: a slip is found before the build.
func TestHookInputs(t *testing.T) {
	for text, wrong := range map[string]string{
		"": "", "web bin/migrate": "", "  web   bin/migrate --all ": "", "web": "names no command", "web ": "names no command",
		"bin/migrate now": "does not begin with the name of a service", "Web x": "does not begin with the name of a service", "web\nx y": "does not begin",
	} {
		in := workflow.DeployInputs{BuildInputs: workflow.BuildInputs{Target: connected()}, Hooks: workflow.Hooks{BeforePromote: text}}
		in.Context, in.Manifest = tree(t, map[string]string{"convox.yml": imageManifest}), "convox.yml"
		if err := in.Check(nothing); (err != nil) != (wrong != "") || err != nil && (!strings.Contains(err.Error(), wrong) || !strings.Contains(err.Error(), "before-promote")) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestCommandThatCannotBeSent: the input that it comes from is named, and
// nothing was started.
func TestCommandThatCannotBeSent(t *testing.T) {
	j, s := heard(past(shop(t, running, nil), func(r *http.Request) (int, string) {
		if isApp(r) {
			return 200, `{"name":"shop","generation":"3","status":"running"}`
		}
		if r.Method == http.MethodPost {
			t.Errorf("%s %s", r.Method, r.URL.Path)
		}
		return 0, ""
	}))
	for _, detach := range []bool{false, true} {
		err := workflow.Run(t.Context(), j, workflow.RunInputs{Target: target, Service: "web", Command: "a\nb", Detach: detach, Limits: minute})
		if err == nil || !strings.Contains(err.Error(), "command: has a line break in it, which a v3 Rack cannot be told") {
			t.Errorf("detached %v: %v", detach, err)
		}
		s.has(t, map[string]string{"status": "failed"})
	}
}
