package rackd_test

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"

	"github.com/convox-ci/convox-ci/internal/container"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

// TestRunDetached follows a process that runs its command by itself.
func TestRunDetached(t *testing.T) {
	m := startRunning(t)
	p := m.begin("one", "mkfifo /tmp/a; echo first; cat /tmp/a; echo error >&2; exit 3")
	log := m.socket("/apps/web/processes/"+p.ID+"/logs", nil)
	app := m.socket("/apps/web/logs", http.Header{"Prefix": {"true"}})
	if got := m.read(log); got != "first\n" {
		t.Errorf("%q", got)
	}
	prefixed := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ service/one/` + p.ID + ` first\n$`)
	if got := m.read(app); !prefixed.MatchString(got) {
		t.Errorf("log of the app: %q", got)
	}
	if got := m.process(p.ID); got.Status != rack.ProcessRunning || got.Command != p.Command {
		t.Errorf("while it runs: %+v", got)
	}
	m.wantMessages("open the gate", m.exec(p.ID, "timeout 30 sh -c 'echo middle > /tmp/a'"), ended("", 0))
	if got := m.rest(log); got != "middle\nerror\n" {
		t.Errorf("the log goes on with %q", got)
	}
	if got := m.process(p.ID); got.Status != rack.ProcessStopped {
		t.Errorf("when it has ended: %+v", got)
	}
	const whole = "first\nmiddle\nerror\n"
	for _, test := range []struct {
		target string
		header http.Header
		want   string
	}{
		{"/apps/web/processes/" + p.ID + "/logs", nil, whole},
		{"/apps/web/processes/" + p.ID + "/logs", http.Header{"Follow": {"false"}, "Since": {"1h"}}, whole},
		{"/apps/web/processes/" + p.ID + "/logs", http.Header{"Since": {"1ns"}}, ""},
		{"/apps/web/processes/" + p.ID + "/logs", http.Header{"Since": {"bogus"}}, "ERROR: time: invalid duration \"bogus\"\n"},
		{"/apps/web/processes/none/logs", nil, "ERROR: process not found: none\n"},
		{"/apps/web/logs", http.Header{"Follow": {"false"}}, whole},
		{"/apps/web/logs", http.Header{"Follow": {"false"}, "Filter": {"iddl"}}, "middle\n"},
		{"/apps/web/logs", http.Header{"Follow": {"false"}, "Since": {"bogus"}}, "ERROR: time: invalid duration \"bogus\"\n"},
	} {
		if got := m.rest(m.socket(test.target, test.header)); got != test.want {
			t.Errorf("%s, %v: %q, want %q", test.target, test.header, got, test.want)
		}
	}
	m.want("stop what has ended", m.do("DELETE", "/apps/web/processes/"+p.ID, nil, nil), 200, "ok\n")
	m.want("gone", m.get("/apps/web/processes/"+p.ID), 404, "process not found: "+p.ID+"\n")
}

// TestWhatCouldNotBeStarted is told in the log of the process.
func TestWhatCouldNotBeStarted(t *testing.T) {
	m := startRunning(t)
	m.deploy("web", rack.Release{ID: "RBBBBBBBBBB", Build: "BBBBBBBBBBB", Manifest: "services:\n  one:\n    build: .\n"})
	m.pushShell("web:one.BBBBBBBBBBB", v1.Config{Env: []string{"PATH=/bin"}, Entrypoint: []string{"/none"}})
	p := m.begin("one", "true")
	if got := m.rest(m.socket("/apps/web/processes/"+p.ID+"/logs", nil)); !strings.Contains(got, "/none") {
		t.Errorf("log is %q", got)
	}
}

func TestListOfProcesses(t *testing.T) {
	m := startRunning(t)
	m.addApp("other")
	first, second := m.begin("one", "sleep 3600"), m.begin("two", "sleep 3600")
	ids := func(target string) []string {
		var all []string
		for _, p := range decode[[]rack.Process](m, m.get(target)) {
			all = append(all, p.ID)
		}
		return all
	}
	for target, want := range map[string][]string{
		"/apps/web/processes":                                 {second.ID, first.ID},
		"/apps/web/processes?service=one":                     {first.ID},
		"/apps/web/processes?service=none":                    nil,
		"/apps/web/processes?release=RAAAAAAAAAA&service=two": {second.ID},
		"/apps/web/processes?release=RNONE":                   nil,
		"/apps/other/processes":                               nil,
	} {
		if got := ids(target); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
	}
	m.want("process of another app", m.get("/apps/other/processes/"+first.ID), 404, "process not found: "+first.ID+"\n")
	m.want("stop of another app", m.do("DELETE", "/apps/other/processes/"+first.ID, nil, nil), 500, "could not find process\n")
}

func TestFaultsOfRun(t *testing.T) {
	m := startRunning(t)
	m.addApp("empty")
	m.must(m.stores.Releases.AddRelease(t.Context(), rack.Release{ID: "RNOBUILDAAA", App: "web", Manifest: runManifest, Created: time.Now()}))
	m.must(m.stores.Releases.AddRelease(t.Context(), rack.Release{ID: "RNOENVAAAAA", App: "web", Build: "BAAAAAAAAAA", Manifest: runManifest, Created: time.Now()}))
	m.deploy("web", rack.Release{ID: "RBBBBBBBBBB", Build: "BBBBBBBBBBB", Env: runEnv, Manifest: runManifest})
	header := func(pairs ...string) http.Header {
		h := http.Header{"Command": {"sleep 1"}, "Release": {"RAAAAAAAAAA"}}
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	for _, test := range []struct {
		target string
		header http.Header
		status int
		want   string
	}{
		{"/apps/none/services/one/processes", header(), 404, "app not found: none\n"},
		{"/apps/empty/services/one/processes", header("Release", ""), 400, "app empty has no active release: promote one, or name one\n"},
		{"/apps/empty/services/one/processes", header(), 404, "release not found: RAAAAAAAAAA\n"},
		{"/apps/web/services/none/processes", header(), 500, "no such service: none\n"},
		{"/apps/web/services/one/processes", header("Command", ""), 400, "command is required\n"},
		{"/apps/web/services/one/processes", header("Release", "RNOBUILDAAA"), 400, "release RNOBUILDAAA has no build\n"},
		{"/apps/web/services/one/processes", header("Release", "RNOENVAAAAA"), 500,
			"parse manifest of release RNOENVAAAAA: required env: SECRET\n"},
		{"/apps/web/services/one/processes", header("Environment", "a;b"), 500, "invalid semicolon separator in query\n"},
	} {
		m.want(test.target, m.do("POST", test.target, test.header, nil), test.status, test.want)
	}
	got := m.do("POST", "/apps/web/services/one/processes", header("Release", ""), nil) // of the build without an image
	if got.status != 500 || !strings.HasPrefix(got.body, "image "+m.server.Registry+"/web:one.BBBBBBBBBBB: not found: ") {
		t.Errorf("image that is not there: %d %q", got.status, got.body)
	}
	if all := decode[[]rack.Process](m, m.get("/apps/web/processes")); len(all) > 0 {
		t.Errorf("there are %+v", all)
	}
}

func TestRackThatRunsNothing(t *testing.T) {
	m := start(t)
	h := http.Header{"Command": {"true"}}
	m.want("run", m.do("POST", "/apps/web/services/one/processes", h, nil), 501, "this rack runs no commands\n")
}

// TestTimesOfProcesses: what sleeps wakes up, and what has ended is shown for a
// while. The clock is that of the test, which stands still while runc works.
func TestTimesOfProcesses(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		m := unserved(t, t.TempDir(), func(c *rackd.Config) {
			c.Containers = container.New(dir, func(context.Context, string) (v1.Image, error) { return empty.Image, nil })
		})
		m.addApp("web")
		m.deploy("web", rack.Release{ID: "RAAAAAAAAAA", Build: "BAAAAAAAAAA", Manifest: "services:\n  one:\n    build: .\n"})
		start := func(command string) string {
			h := http.Header{"Command": {command}}
			return decode[rack.Process](m, m.direct("POST", "/apps/web/services/one/processes", h)).ID
		}
		status := func(id string) string {
			a := m.direct("GET", "/apps/web/processes/"+id, nil)
			if a.status == http.StatusNotFound {
				return "none"
			}
			return decode[rack.Process](m, a).Status
		}
		begun := time.Now()
		short, long, longest := start("sleep 60"), start(" sleep  3600 "), start("sleep 4294967295")
		for _, at := range []struct {
			after time.Duration
			want  []string
		}{
			{59 * time.Second, []string{"running", "running", "running"}},
			{61 * time.Second, []string{"stopped", "running", "running"}},
			{10*time.Minute + 59*time.Second, []string{"stopped", "running", "running"}},
			{11*time.Minute + time.Second, []string{"none", "running", "running"}},
			{time.Hour + time.Second, []string{"none", "stopped", "running"}},
			{30*24*time.Hour + time.Second, []string{"none", "none", "stopped"}},
		} {
			time.Sleep(time.Until(begun.Add(at.after)))
			if got := []string{status(short), status(long), status(longest)}; !slices.Equal(got, at.want) {
				t.Errorf("after %v: %q, want %q", at.after, got, at.want)
			}
		}
	})
}
