package workflow_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/rackd/disk"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// changing is a way to the rack that changes its answers.
type changing struct {
	http.RoundTripper
	change func(*http.Response)
}

func (c changing) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := c.RoundTripper.RoundTrip(r)
	if err == nil && c.change != nil {
		c.change(res)
	}
	return res, err
}

// refuse changes an answer to a refusal.
func refuse(res *http.Response, status int, text string) {
	res.Body.Close()
	res.StatusCode, res.Body = status, io.NopCloser(strings.NewReader(text))
}

// stocked is a rack that has an app, with releases and their builds or without.
func stocked(t *testing.T, app rack.App, releases ...rack.Release) http.Handler {
	t.Helper()
	store, err := disk.Open(t.TempDir(), "the test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	for _, r := range releases {
		if _, err := store.Build(t.Context(), r.App, r.Build); r.Build != "" && err != nil {
			b := rack.Build{ID: r.Build, App: r.App, Status: rack.BuildComplete, Release: r.ID, Manifest: r.Manifest, GitSHA: "of" + strings.ToLower(r.Build)}
			if err := store.SwapBuild(t.Context(), rack.Build{}, b); err != nil {
				t.Fatal(err)
			}
		}
		if err := store.AddRelease(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	server, err := rackd.New(t.Context(), rackd.Config{Name: "test", Spool: t.TempDir(),
		Stores: store.Stores()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	if err := store.SwapApp(t.Context(), rack.App{}, app); err != nil { // after the start, at which no app is found updating
		t.Fatal(err)
	}
	return server.Handler()
}

// shop is a job on such a rack.
func shop(t *testing.T, app rack.App, change func(*http.Response), releases ...rack.Release) workflow.Job {
	t.Helper()
	front := httptest.NewServer(stocked(t, app, releases...))
	t.Cleanup(front.Close)
	endpoint, err := rack.Direct(front.URL)
	if err != nil {
		t.Fatal(err)
	}
	console := ci.Open(ci.Run{System: ci.Plain}, nil, io.Discard)
	return workflow.Job{Rack: rack.New(endpoint, changing{http.DefaultTransport, change}, nil), Log: console, Outputs: console}
}

// tree makes a source of files.
func tree(t *testing.T, files map[string]string) options.Path {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		full := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return options.Path(dir)
}

// check is what is found in a source, the way to it taken off.
func check(t *testing.T, j workflow.Job, in workflow.CheckInputs) string {
	t.Helper()
	in.Manifest, in.Timeout = "convox.yml", time.Minute
	r, err := workflow.Check(t.Context(), j, in)
	var found *workflow.CheckError
	if errors.As(err, &found) != (r.Errors > 0) || err != nil && found == nil {
		t.Fatalf("%d errors, %v", r.Errors, err)
	}
	var b strings.Builder
	for _, f := range r.Findings {
		b.WriteString(strings.ReplaceAll(f.String(), string(in.Context)+"/", "") + "\n")
	}
	return b.String()
}

// has fails unless text holds a line that begins so, or with "!" holds none.
func has(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		line, not := strings.CutPrefix(line, "!")
		if strings.Contains("\n"+text, "\n"+line) == not {
			t.Errorf("%q is there: %v, in\n%s", line, not, text)
		}
	}
}

func pairs(t *testing.T, text string) options.Pairs {
	t.Helper()
	p, err := options.ParsePairs(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var running = rack.App{Name: "shop", Generation: "2", Status: rack.AppRunning}

// TestCheckOfBuildArgs: who takes an argument is known from the Dockerfiles and the
// manifest.
func TestCheckOfBuildArgs(t *testing.T) {
	in := workflow.CheckInputs{Target: workflow.Target{App: "shop"}}
	in.Context = tree(t, map[string]string{
		"convox.yml":   "services:\n  a: {build: a}\n  b: {build: b, environment: [NEEDED]}\n  # ${FILLED}\n",
		"a/Dockerfile": "FROM scratch AS development\nARG ONE\n", "b/Dockerfile": "FROM scratch\nARG TWO=2\n",
	})
	in.BuildArgs = pairs(t, "ONE=plain\nTWO=two words\nNEEDED=1\nFILLED=2\ntwo=3\nFAR=4")
	in.Development = true
	has(t, check(t, shop(t, running, nil), in),
		`!warning: build-args: "ONE"`, `!warning: build-args: "TWO" has no`, `!warning: build-args: "NEEDED"`, `!warning: build-args: "FILLED"`,
		`warning: build-args: "two" has no ARG line in a/Dockerfile or b/Dockerfile, did you mean TWO?`+"\n",
		`warning: build-args: "FAR" has no ARG line in a/Dockerfile or b/Dockerfile`+"\n",
		"notice: dockerfile: b/Dockerfile has no stage named development", "!notice: dockerfile: a/")
	in.Context = tree(t, map[string]string{"convox.yml": "services:\n  a: {image: b}\n"})
	has(t, check(t, workflow.Job{}, in), `warning: build-args: "ONE" has no ARG line in any Dockerfile: none is built`+"\n")
}

// TestCheckOfTheEnvironment: the newest release counts, promoted or not, and an
// app without one has nothing.
func TestCheckOfTheEnvironment(t *testing.T) {
	in := workflow.CheckInputs{Target: workflow.Target{App: "shop"}}
	in.Context = tree(t, map[string]string{"convox.yml": "services:\n  web:\n    build: ${DIR}\n    environment: [A, B]\n", "web/Dockerfile": "FROM scratch\n"})
	now := time.Now()
	older := rack.Release{ID: "ROLDERAAAAA", App: "shop", Env: "A=1\nB=2\nDIR=web", Created: now.Add(-time.Hour)}
	newer := rack.Release{ID: "RNEWERAAAAA", App: "shop", Env: "A=1\nDIR=web", Created: now}
	has(t, check(t, shop(t, running, nil), in), "convox.yml:2:3: error: environment: required env: A, B\n", "convox.yml:2:3: error: dockerfile: there is no Dockerfile")
	has(t, check(t, shop(t, running, nil, older), in), "!convox.yml")
	has(t, check(t, shop(t, running, nil, older, newer), in), "convox.yml:2:3: error: environment: required env: B\n")
	in.BuildArgs = pairs(t, "B=2")
	has(t, check(t, shop(t, running, nil, older, newer), in), "convox.yml:2:3: warning: environment: required env: B (given by build-args only")
}

// TestCheckOfAnEnvironmentThatIsNotShown: a key that may deploy need not see the
// releases, which is no error; what depends on them is then not claimed.
func TestCheckOfAnEnvironmentThatIsNotShown(t *testing.T) {
	in := workflow.CheckInputs{Target: workflow.Target{App: "shop"}}
	in.Context = tree(t, map[string]string{"convox.yml": "services:\n  web:\n    build: ${DIR}\n    environment: [A]\n"})
	j := shop(t, running, func(res *http.Response) {
		if strings.HasSuffix(res.Request.URL.Path, "/releases") {
			refuse(res, http.StatusForbidden, "not for this key")
		}
	})
	has(t, check(t, j, in), "notice: environment: not looked at: not for this key\n", "convox.yml: notice: environment: services require A;",
		"convox.yml:2:3: warning: dockerfile: there is no Dockerfile")
}

// TestCheckOfAccess: what is seen of the app and of the clock beside the errors.
func TestCheckOfAccess(t *testing.T) {
	in := workflow.CheckInputs{Target: workflow.Target{App: "shop"}}
	in.Context = tree(t, map[string]string{"convox.yml": "services:\n  web: {image: x}\n"})
	updating := running
	updating.Status = rack.AppUpdating
	has(t, check(t, shop(t, updating, nil), in), "warning: app: shop is updating: until it is running a promote is refused\n")
	late := shop(t, running, func(res *http.Response) {
		res.Header.Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
	})
	has(t, check(t, late, in), "warning: clock: the clock of this machine is 1h0m0s ahead of that of 127.0.0.1:")
	has(t, check(t, shop(t, running, nil), in), "!warning", "!error")
	in.App = ""
	has(t, check(t, shop(t, running, nil), in), "notice: access: 127.0.0.1:", "!notice: environment")
}

// TestCheckIsCancelled: what it found so far is no verdict.
func TestCheckIsCancelled(t *testing.T) {
	over := errors.New("over")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(over)
	in := workflow.CheckInputs{Target: workflow.Target{App: "shop"}, Limits: workflow.Limits{Timeout: time.Minute}}
	in.Context, in.Manifest = tree(t, map[string]string{"convox.yml": "services:\n  web: {image: x}\n"}), "convox.yml"
	for name, j := range map[string]workflow.Job{"with a rack": shop(t, running, nil), "without": {}} {
		if r, err := workflow.Check(ctx, j, in); !errors.Is(err, over) || r.Upload != nil {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}
