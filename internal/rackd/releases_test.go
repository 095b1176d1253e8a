package rackd_test

import (
	"context"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

// A release starts from the latest one, and what is given replaces parts of it.
func TestReleaseRules(t *testing.T) {
	m := start(t)
	for id, text := range map[string]string{"BA": "services:\n  a:\n", "BB": "services:\n  b:\n"} {
		b := rack.Build{ID: id, App: "web", Description: "build of " + id, Manifest: text, Status: rack.BuildComplete}
		m.must(m.stores.Builds.SwapBuild(t.Context(), rack.Build{}, b))
	}
	a, b := "services:\n  a:\n", "services:\n  b:\n"
	for i, test := range []struct { // each starts from the one before
		form url.Values
		want rack.Release
	}{
		{url.Values{}, rack.Release{}},
		{url.Values{"env": {"FOO=1\nBAR=2"}}, rack.Release{Env: "BAR=2\nFOO=1", Description: "env add:BAR add:FOO"}},
		{url.Values{"build": {"BA"}}, rack.Release{Build: "BA", Env: "BAR=2\nFOO=1", Manifest: a, Description: "build of BA"}},
		{url.Values{"env": {"BAR=3\nBAZ=4\nFOO=1"}}, rack.Release{Build: "BA", Env: "BAR=3\nBAZ=4\nFOO=1", Manifest: a, Description: "env add:BAZ change:BAR"}},
		{url.Values{"env": {"BAR=3\nBAZ=4\nFOO=1"}}, rack.Release{Build: "BA", Env: "BAR=3\nBAZ=4\nFOO=1", Manifest: a, Description: "env "}},
		{url.Values{"build": {"BB"}, "env": {"BAR=3"}}, rack.Release{Build: "BB", Env: "BAR=3", Manifest: b, Description: "env remove:BAZ remove:FOO"}},
		{url.Values{"description": {"mine"}}, rack.Release{Build: "BB", Env: "BAR=3", Manifest: b, Description: "mine"}},
		{url.Values{"env": {""}, "description": {"mine"}}, rack.Release{Build: "BB", Manifest: b, Description: "mine"}},
		{url.Values{}, rack.Release{Build: "BB", Manifest: b, Description: "build of BB"}},
	} {
		got := decode[rack.Release](m, m.post("/apps/web/releases", test.form))
		if !releaseID.MatchString(got.ID) || got.Created.IsZero() {
			t.Errorf("release %d: id %s, created %v", i, got.ID, got.Created)
		}
		test.want.ID, test.want.App, test.want.Created = got.ID, "web", got.Created
		if d := cmp.Diff(test.want, got); d != "" {
			t.Errorf("release %d (-want +got):\n%s", i, d)
		}
		if d := cmp.Diff(got, decode[rack.Release](m, m.get("/apps/web/releases/"+got.ID))); d != "" {
			t.Errorf("release %d as stored (-want +got):\n%s", i, d)
		}
		test.want.Env = "" // in lists
		if d := cmp.Diff(test.want, decode[[]rack.Release](m, m.get("/apps/web/releases?limit=1"))[0]); d != "" {
			t.Errorf("release %d as the latest (-want +got):\n%s", i, d)
		}
	}
	m.want("no such build", m.post("/apps/web/releases", url.Values{"build": {"BNONE"}}), 404, "build not found: BNONE\n")
	m.want("no such app", m.post("/apps/none/releases", nil), 404, "app not found: none\n")
	m.want("no such release", m.get("/apps/web/releases/RNONE"), 404, "release not found: RNONE\n")
	m.want("release of no app", m.get("/apps/none/releases/RNONE"), 404, "app not found: none\n")
	m.want("list of no app", m.get("/apps/none/releases"), 404, "app not found: none\n")
	m.want("bad limit", m.get("/apps/web/releases?limit=abc"), 500, "strconv.Atoi: parsing \"abc\": invalid syntax\n")
}

// A release is made with the environment that is the latest when its build
// ends, whatever was the latest when it began.
func TestBuildTakesTheLatestEnvironment(t *testing.T) {
	m := start(t)
	s := lead(m)
	b := m.create(nil)
	receive(m, s.in)
	m.post("/apps/web/releases", url.Values{"env": {"A=1"}})
	s.done <- nil
	m.log(b.ID)
	r := decode[rack.Release](m, m.get("/apps/web/releases/"+m.build(b.ID).Release))
	if r.Env != "A=1" || r.Build != b.ID {
		t.Errorf("release is %+v", r)
	}
}

// No two releases are of one time, even where the clock stands still or goes
// back: the latest would be in doubt.
func TestReleasesAreInOrder(t *testing.T) {
	m := start(t)
	future := rack.Release{ID: "RFUTURE", App: "web", Env: "A=1", Created: time.Now().Add(time.Hour).UTC()}
	m.must(m.stores.Releases.AddRelease(t.Context(), future))
	var all sync.WaitGroup
	const releases = 8
	for range releases {
		all.Go(func() { m.post("/apps/web/releases", nil) })
	}
	all.Wait()
	list := decode[[]rack.Release](m, m.get("/apps/web/releases?limit=100"))
	for i := 1; i < len(list); i++ {
		if !list[i-1].Created.After(list[i].Created) {
			t.Errorf("release %d is of %v, the next of %v", i-1, list[i-1].Created, list[i].Created)
		}
	}
	if len(list) != releases+1 || list[releases].ID != "RFUTURE" {
		t.Errorf("%d releases, the first is %s", len(list), list[len(list)-1].ID)
	}
}

func TestPromote(t *testing.T) {
	m := start(t)
	for i, r := range []rack.Release{{ID: "ROLD", Manifest: "# a"}, {ID: "RACTIVE", Manifest: "# b"}, {ID: "RNEW", Manifest: "# c"}, {ID: "REMPTY", Manifest: " \n"}} {
		r.App, r.Created = "web", time.Unix(int64(i), 0).UTC()
		m.must(m.stores.Releases.AddRelease(t.Context(), r))
	}
	set := func(release, status string) {
		was, err := m.stores.Apps.App(t.Context(), "web")
		m.must(err)
		a := was
		a.Release, a.Status = release, status
		m.must(m.stores.Apps.SwapApp(t.Context(), was, a))
	}
	force := url.Values{"force": {"true"}}
	for _, test := range []struct {
		name            string
		active, status  string // of the app before
		release         string
		form            url.Values
		answer          int
		body            string
		activeAfterward string
	}{
		{"first", "", rack.AppRunning, "ROLD", nil, 200, "ok\n", "ROLD"},
		{"newer", "RACTIVE", rack.AppRunning, "RNEW", url.Values{"force": {"false"}}, 200, "ok\n", "RNEW"},
		{"the same", "RACTIVE", rack.AppRunning, "RACTIVE", nil, 200, "ok\n", "RACTIVE"},
		{"older", "RACTIVE", rack.AppRunning, "ROLD", nil, 500, "can not promote an older release, try rollback\n", "RACTIVE"},
		{"older, with force", "RACTIVE", rack.AppRunning, "ROLD", force, 500, "can not promote an older release, try rollback\n", "RACTIVE"},
		{"empty", "RACTIVE", rack.AppRunning, "REMPTY", nil, 500, "can not promote a release with an empty manifest\n", "RACTIVE"},
		{"missing", "RACTIVE", rack.AppRunning, "RNONE", nil, 404, "release not found: RNONE\n", "RACTIVE"},
		{"busy", "RACTIVE", rack.AppUpdating, "RNEW", nil, 403, "app is currently updating\n", "RACTIVE"},
		{"busy, and missing", "RACTIVE", rack.AppUpdating, "RNONE", nil, 403, "app is currently updating\n", "RACTIVE"},
		{"busy, and forced by another word", "RACTIVE", rack.AppUpdating, "RNEW", url.Values{"force": {"yes"}}, 403, "app is currently updating\n", "RACTIVE"},
		{"busy, with force", "RACTIVE", rack.AppUpdating, "RNEW", force, 200, "ok\n", "RNEW"},
	} {
		set(test.active, test.status)
		m.want(test.name, m.post("/apps/web/releases/"+test.release+"/promote", test.form), test.answer, test.body)
		if got := m.app().Release; got != test.activeAfterward {
			t.Errorf("%s: active release is %q, want %q", test.name, got, test.activeAfterward)
		}
	}
	m.want("no such app", m.post("/apps/none/releases/RNEW/promote", nil), 404, "app not found: none\n")
}

// A promote reads the manifest with the environment of the release that is
// promoted, neither with a later one nor with the build args of its build.
func TestPromoteReadsTheManifest(t *testing.T) {
	m := start(t)
	const needs = "services:\n  web:\n    environment: [A, B=1]\n"
	for i, r := range []rack.Release{
		{ID: "RWITHOUT", Manifest: needs},
		{ID: "RWITH", Manifest: needs, Env: "A=1"},
		{ID: "RTYPE", Manifest: "services: web\n"},
		{ID: "RNAME", Manifest: "services: {'${N}': }\n", Env: "N=Web"},
		{ID: "RRESOURCE", Manifest: "resources: {db: {type: oracle}}\n"},
		{ID: "RTIMER", Manifest: "services: {web: }\ntimers: {t: {service: worker, schedule: '* * * * *'}}\n"},
		{ID: "RSCHEDULE", Manifest: "services: {web: }\ntimers: {t: {service: web, schedule: '0  3 * * *'}, u: {service: web, schedule: hourly}}\n"},
		{ID: "RGOOD", Manifest: "services: {web: }\nresources: {db: {type: postgres}}\ntimers: {t: {service: web, schedule: '0 3 * * ?'}}\n"},
		{ID: "RLATEST", Manifest: needs, Env: "A=1"},
	} {
		r.App, r.Created = "web", time.Unix(int64(i), 0).UTC()
		m.must(m.stores.Releases.AddRelease(t.Context(), r))
	}
	for _, test := range []struct {
		release string
		status  int
		body    string
	}{
		{"RWITHOUT", 500, "required env: A\n"},
		{"RWITH", 200, "ok\n"},
		{"RWITHOUT", 500, "can not promote an older release, try rollback\n"},
		{"RTYPE", 500, "yaml: unmarshal errors:\n  line 1: cannot unmarshal !!str `web` into yaml.MapSlice\n"},
		{"RNAME", 500, "service name Web invalid, must contain only lowercase alphanumeric and dashes\n"},
		{"RRESOURCE", 500, "unknown resource type: oracle\n"},
		{"RTIMER", 500, "no such service: worker\n"},
		{"RSCHEDULE", 500, "invalid schedule expression: hourly\n"},
		{"RGOOD", 200, "ok\n"},
	} {
		m.want(test.release, m.post("/apps/web/releases/"+test.release+"/promote", nil), test.status, test.body)
	}
}

// What build args give to a build, its release does without.
func TestBuildArgsDoNotReachTheRelease(t *testing.T) {
	m := start(t)
	f := files{"convox.yml": plain["convox.yml"] + "    environment: [A]\n", "Dockerfile": plain["Dockerfile"]}
	without := m.create(url.Values{"url": {m.upload(f)}})
	if log := m.log(without.ID); log != "ERROR: parse manifest: required env: A\n" {
		t.Errorf("log of a build that lacks a variable is %q", log)
	}
	with := m.create(url.Values{"url": {m.upload(f)}, "build-args": {"A=1"}})
	m.log(with.ID)
	id := m.build(with.ID).Release
	m.want("promote", m.post("/apps/web/releases/"+id+"/promote", nil), 500, "required env: A\n")
	r := decode[rack.Release](m, m.post("/apps/web/releases", url.Values{"env": {"A=2"}}))
	m.want("promote with the variable", m.post("/apps/web/releases/"+r.ID+"/promote", nil), 200, "ok\n")

	// The variables of a build are those of the latest release, promoted or not.
	m.post("/apps/web/releases", url.Values{"env": {"A=3"}})
	unpromoted := m.create(url.Values{"url": {m.upload(f)}})
	m.log(unpromoted.ID)
	if b := m.build(unpromoted.ID); b.Status != rack.BuildComplete {
		t.Errorf("build after the variable was set is %s: %s", b.Status, b.Reason)
	}
}

// meddler is a store in which someone else is quicker, once.
type meddler struct {
	rackd.Apps
	once   sync.Once
	before func()
}

func (s *meddler) SwapApp(ctx context.Context, old, next rack.App) error {
	if old.Name != "" {
		s.once.Do(s.before)
	}
	return s.Apps.SwapApp(ctx, old, next)
}

// A promote that someone else's change gets in the way of is decided anew.
func TestPromoteIsDecidedAnew(t *testing.T) {
	for _, test := range []struct {
		name   string
		other  rack.App // what the app is by then
		status int
		body   string
		active string
	}{
		{"older release active", rack.App{Release: "ROLD", Status: rack.AppRunning}, 200, "ok\n", "RMINE"},
		{"newer release active", rack.App{Release: "RNEW", Status: rack.AppRunning}, 500, "can not promote an older release, try rollback\n", "RNEW"},
		{"update under way", rack.App{Release: "ROLD", Status: rack.AppUpdating}, 403, "app is currently updating\n", "ROLD"},
	} {
		meddle := &meddler{}
		m := start(t, func(c *rackd.Config) {
			meddle.Apps = c.Stores.Apps
			c.Stores.Apps = meddle
		})
		for i, id := range []string{"ROLD", "RMINE", "RNEW"} {
			r := rack.Release{ID: id, App: "web", Manifest: "# m", Created: time.Unix(int64(i), 0).UTC()}
			m.must(m.stores.Releases.AddRelease(t.Context(), r))
		}
		meddle.before = func() {
			was, err := m.stores.Apps.App(t.Context(), "web")
			m.must(err)
			now := was
			now.Release, now.Status = test.other.Release, test.other.Status
			m.must(m.stores.Apps.SwapApp(t.Context(), was, now))
		}
		m.want(test.name, m.post("/apps/web/releases/RMINE/promote", nil), test.status, test.body)
		if got := m.app().Release; got != test.active {
			t.Errorf("%s: active release is %s, want %s", test.name, got, test.active)
		}
	}
}

// Of promotes at the same time none is lost, and the newest release wins.
func TestRacingPromotes(t *testing.T) {
	m := start(t)
	ids := []string{"RA", "RB", "RC", "RD", "RE", "RF", "RG", "RH"}
	for i, id := range ids {
		r := rack.Release{ID: id, App: "web", Manifest: "# m", Created: time.Unix(int64(i), 0).UTC()}
		m.must(m.stores.Releases.AddRelease(t.Context(), r))
	}
	var all sync.WaitGroup
	for _, id := range ids {
		all.Go(func() { m.post("/apps/web/releases/"+id+"/promote", nil) })
	}
	all.Wait()
	if got := m.app().Release; got != "RH" {
		t.Errorf("active release is %s, want RH", got)
	}
}
