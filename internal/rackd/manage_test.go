package rackd_test

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

// put sends a form by PUT.
func (m *machine) put(target string, form url.Values) answer {
	m.Helper()
	h := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	return m.do("PUT", target, h, strings.NewReader(form.Encode()))
}

const scaledManifest = "services:\n  web-api:\n    build: .\n    port: 3000\n    domain: example.org\n    scale: 2-4\n  two:\n    build: .\n"

func TestParametersAndLock(t *testing.T) {
	m := start(t)
	m.deploy("web", rack.Release{ID: "RAAAAAAAAAA", Build: "BAAAAAAAAAA", Manifest: scaledManifest})
	before := m.app().Parameters
	if before["Private"] != "No" || before["Rack"] != "local" || before["RunsServices"] != "No" {
		t.Errorf("parameters are %v", before)
	}
	set := func(pairs string) answer {
		m.Helper()
		return m.put("/apps/web", url.Values{"parameters": {pairs}})
	}
	for _, test := range []struct {
		pairs  string
		status int
		says   string
	}{
		{"Private=Yes&Isolate=maybe", 500, "Parameter 'Isolate' must be one of AllowedValues\n"},
		{"Private=Yes&Nosuch=1", 400, "no such parameter: Nosuch\n"},
		{"RunsServices=Yes", 400, "no such parameter: RunsServices\n"},
		{"Rack=other", 400, "no such parameter: Rack\n"},
		{"WebFormation=1,2,3", 400, "no such parameter: WebFormation\n"},
		{"WebApiFormation=1,2", 500, "Parameter 'WebApiFormation' must be COUNT,CPU,MEMORY\n"},
	} {
		m.want(test.pairs, set(test.pairs), test.status, test.says)
	}
	if d := cmp.Diff(before, m.app().Parameters); d != "" {
		t.Errorf("what was refused has changed (-before +after):\n%s", d)
	}
	m.want("set", set("Private=Yes&LogRetention=7&WebApiFormation=3,128,256"), 200, "ok\n")
	want := maps.Clone(before)
	maps.Copy(want, map[string]string{"Private": "Yes", "LogRetention": "7", "WebApiFormation": "3,128,256"})
	if d := cmp.Diff(want, m.app().Parameters); d != "" {
		t.Errorf("parameters (-want +got):\n%s", d)
	}
	m.want("no app", m.put("/apps/none", url.Values{"lock": {"true"}}), 404, "app not found: none\n")
	m.want("lock", m.put("/apps/web", url.Values{"lock": {"true"}}), 200, "ok\n")
	m.want("delete what is locked", m.do("DELETE", "/apps/web", nil, nil), 409, "app is locked: web\n")
	if a := m.app(); !a.Locked || a.Status != rack.AppRunning {
		t.Errorf("app is %+v", a)
	}
}

func TestServices(t *testing.T) {
	m := start(t)
	m.want("before the first promote", m.get("/apps/web/services"), 200, "[]\n")
	m.deploy("web", rack.Release{ID: "RAAAAAAAAAA", Build: "BAAAAAAAAAA", Manifest: scaledManifest})
	list := func(count int) []rack.Service {
		return []rack.Service{{Name: "web-api", Count: count, CPU: 256, Memory: 512}, {Name: "two", Count: 1, CPU: 256, Memory: 512}}
	}
	if d := cmp.Diff(list(2), decode[[]rack.Service](m, m.get("/apps/web/services"))); d != "" {
		t.Errorf("services (-want +got):\n%s", d)
	}
	m.want("scale", m.put("/apps/web/services/web-api", url.Values{"count": {"5"}}), 200, "ok\n")
	if d := cmp.Diff(list(5), decode[[]rack.Service](m, m.get("/apps/web/services"))); d != "" {
		t.Errorf("services (-want +got):\n%s", d)
	}
	if got := m.app().Parameters["WebApiFormation"]; got != "5,256,512" {
		t.Errorf("formation is %q", got)
	}
	m.want("below 0", m.put("/apps/web/services/two", url.Values{"count": {"-1"}}), 400, "count must not be below 0\n")
	m.want("none", m.put("/apps/web/services/none", url.Values{"count": {"1"}}), 404, "no such service: none\n")
}

// meddled is a store in which something happens after an app was marked.
type meddled struct {
	rackd.Apps
	meddle func()
}

func (a *meddled) SwapApp(ctx context.Context, old, next rack.App) error {
	err := a.Apps.SwapApp(ctx, old, next)
	if f := a.meddle; err == nil && next.Status == rack.AppUpdating && f != nil {
		a.meddle = nil
		f()
	}
	return err
}

func TestCancelAnUpdate(t *testing.T) {
	store := &meddled{}
	m := start(t, func(c *rackd.Config) { store.Apps = c.Stores.Apps; c.Stores.Apps = store })
	m.deploy("web", rack.Release{ID: "RAAAAAAAAAA", Build: "BAAAAAAAAAA", Manifest: scaledManifest})
	next := decode[rack.Release](m, m.post("/apps/web/releases", nil))
	store.meddle = func() {
		if a := m.app(); a.Status != rack.AppUpdating || a.Release != "RAAAAAAAAAA" {
			t.Errorf("within the promote the app is %+v", a)
		}
		m.want("cancel", m.post("/apps/web/cancel", nil), 200, "ok\n")
		m.want("cancel again", m.post("/apps/web/cancel", nil), 403, "app is not updating\n")
	}
	m.want("promote", m.post("/apps/web/releases/"+next.ID+"/promote", nil), 200, "ok\n")
	if a := m.app(); a.Status != rack.AppRunning || a.Release != "RAAAAAAAAAA" {
		t.Errorf("after the cancel the app is %+v", a)
	}
	m.want("promote again", m.post("/apps/web/releases/"+next.ID+"/promote", nil), 200, "ok\n")
	if a := m.app(); a.Status != rack.AppRunning || a.Release != next.ID {
		t.Errorf("after the promote the app is %+v", a)
	}
	log := m.rest(m.socket("/apps/web/logs", http.Header{"Follow": {"false"}, "Prefix": {"true"}}))
	if strings.Count(log, "\n") != 2 || !strings.Contains(log, " system/rack the update was cancelled") ||
		!strings.Contains(log, " system/rack release "+next.ID+" is the active one now; this rack records that and runs no services") {
		t.Errorf("log is %q", log)
	}
}

func TestAnUpdateThatWasCutOffIsNone(t *testing.T) {
	m := start(t)
	was, err := m.stores.Apps.App(t.Context(), "web")
	m.must(err)
	marked := was
	marked.Status = rack.AppUpdating
	m.must(m.stores.Apps.SwapApp(t.Context(), was, marked))
	if a := m.killed().app(); a.Status != rack.AppRunning || a.Release != "" {
		t.Errorf("app is %+v", a)
	}
}

func TestDeleteApp(t *testing.T) {
	m := start(t)
	m.addApp("other")
	m.must(m.stores.Objects.PutObject(t.Context(), "other", "a", strings.NewReader("kept")))
	done := m.create(nil)
	m.log(done.ID)
	begun := make(chan struct{})
	m.engine.work = func(ctx context.Context, _ image.Spec, _ io.Writer) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	}
	running := m.create(nil)
	receive(m, begun)
	m.want("delete", m.do("DELETE", "/apps/web", nil, nil), 200, "ok\n")
	m.want("app", m.get("/apps/web"), 404, "app not found: web\n")
	m.want("again", m.do("DELETE", "/apps/web", nil, nil), 404, "app not found: web\n")
	m.want("other", m.get("/apps/other/objects/a"), 200, "kept")

	m.addApp("web") // finds nothing of its namesake
	for _, list := range []string{"builds", "releases", "processes"} {
		m.want(list, m.get("/apps/web/"+list), 200, "[]\n")
	}
	m.want("build", m.get("/apps/web/builds/"+running.ID), 404, "build not found: "+running.ID+"\n")
	m.want("object", m.get("/apps/web/objects/tmp/source.tgz"), 404, "key not found: tmp/source.tgz\n")
}

func TestADeletionThatWasCutOffGoesOn(t *testing.T) {
	m := start(t)
	b := m.create(nil)
	m.log(b.ID)
	was, err := m.stores.Apps.App(t.Context(), "web")
	m.must(err)
	marked := was
	marked.Status = rack.AppDeleting
	m.must(m.stores.Apps.SwapApp(t.Context(), was, marked))
	m.want("release", m.post("/apps/web/releases", nil), 409, "app is being deleted: web\n")
	m.want("build", m.post("/apps/web/builds", url.Values{"url": {"object://web/tmp/source.tgz"}}), 409, "app is being deleted: web\n")
	next := m.killed()
	next.want("app", next.get("/apps/web"), 404, "app not found: web\n")
	next.addApp("web")
	next.want("builds", next.get("/apps/web/builds"), 200, "[]\n")
}

func TestTheRackItself(t *testing.T) {
	m := start(t)
	m.want("certificates", m.get("/certificates"), 200, "[]\n")
	m.want("resources", m.get("/resources"), 200, "[]\n")
	m.want("resources of an app", m.get("/apps/web/resources"), 200, "[]\n")
	m.want("resources of no app", m.get("/apps/none/resources"), 404, "app not found: none\n")
	releases := decode[[]rack.Release](m, m.get("/system/releases"))
	if len(releases) != 1 || releases[0].ID != rackd.Version || releases[0].Created.IsZero() {
		t.Errorf("releases are %+v", releases)
	}
	ps := decode[[]rack.Process](m, m.get("/system/processes?all=true"))
	if !slices.ContainsFunc(ps, func(p rack.Process) bool { return p.App == "local" && p.Status == rack.ProcessRunning }) {
		t.Errorf("processes are %+v", ps)
	}
	if all := decode[[]rack.Instance](m, m.get("/instances")); len(all) != 1 || all[0].Status != "active" {
		t.Errorf("instances are %+v", all)
	}
	f := url.Values{"action": {"build:create\nforged"}, "data": {"app=web&id=BAAAAAAAAAA"}, "error": {"out of\nluck"}}
	m.want("event", m.post("/events", f), 200, "ok\n")
	m.want("bad event", m.post("/events", url.Values{"action": {"x"}, "data": {"%zz"}}), 500, "invalid URL escape \"%zz\"\n")
	log := m.rest(m.socket("/system/logs", http.Header{"Follow": {"false"}}))
	if log != "build:create forged app=web\nbuild:create forged error=out of luck\n" {
		t.Errorf("log is %q", log)
	}
}
