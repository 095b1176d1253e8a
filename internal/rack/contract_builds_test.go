package rack_test

import (
	"encoding/json"
	"io"
	"path"
	"strconv"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/wire"
)

// buildOptions are those that a recorded client was given.
func buildOptions(r wire.Recording, created wire.Exchange) rack.BuildOptions {
	o := rack.BuildOptions{
		BuildArgs: flag(r, "build-args"), Description: "build cea4cffa64 first commit, with a comma",
		Development: given(r, "development"), NoCache: given(r, "no-cache"), GitSHA: "cea4cffa642e565799b9b555ebb3fb0778be2687",
	}
	for _, d := range flag(r, "description") {
		o.Description = d
	}
	for _, m := range flag(r, "manifest") {
		o.Manifest = m
	}
	if yes := true; given(r, "wildcard-domain") {
		o.WildcardDomain = &yes
	}
	return o
}

// builds does what a recorded build did, up to the end of the build.
func builds(t *testing.T, r wire.Recording) {
	c, p := play(t, r)
	build(t, c, r)
	p.done()
}

// build returns the build, the zero one if the rack refused to begin it.
func build(t *testing.T, c *rack.Client, r wire.Recording) rack.Build {
	t.Helper()
	created := answered(t, r, "POST", "/builds")[0]
	app := strings.Split(created.Path, "/")[2]
	askSystem(t, c, r)
	object, err := c.PutObject(t.Context(), app, strings.TrimPrefix(created.Form["url"][0], "object://"+app+"/"), func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("a pack")), nil
	})
	if err != nil || object.URL != created.Form["url"][0] {
		t.Fatalf("uploaded to %s: %v", object.URL, err)
	}
	b, err := c.StartBuild(t.Context(), app, object.URL, buildOptions(r, created))
	if created.Status >= 400 {
		wantKind(t, err, nil, created.Body)
		return b
	}
	if err != nil {
		t.Fatal(err)
	}
	carries(t, created.Body, b)
	var out safeBuffer
	b, err = c.Watch(t.Context(), app, b.ID, &out)
	if err != nil {
		t.Fatal(err)
	}
	looks := answered(t, r, "GET", "/builds/"+b.ID)
	carries(t, looks[len(looks)-1].Body, b)
	streams := answered(t, r, "GET", "/logs")
	said := logOf(streamOf(t, streams, b.ID))
	if out.String() != said {
		t.Errorf("log is\n%s, want\n%s", &out, said)
	}
	if (b.Status == rack.BuildComplete) == (strings.Contains(r.Stderr, "build failed")) {
		t.Errorf("build is %s, and the client said %s", b.Status, r.Stderr)
	}
	return b
}

// streamOf is the last stream of a build's log.
func streamOf(t *testing.T, streams []wire.Exchange, id string) (last wire.Exchange) {
	t.Helper()
	for _, s := range streams {
		if strings.Contains(s.Path, id) {
			last = s
		}
	}
	if last.Path == "" {
		t.Fatalf("no stream of %s", id)
	}
	return last
}

// buildBehindAFault goes on where the official client gave up, since its stream
// was refused by what is in front of the rack. What the record says then was not
// recorded.
func buildBehindAFault(t *testing.T, r wire.Recording) {
	created := answered(t, r, "POST", "/builds")[0]
	var b rack.Build
	if err := json.Unmarshal([]byte(created.Body), &b); err != nil {
		t.Fatal(err)
	}
	b.Status = rack.BuildComplete
	data, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	look := wire.Exchange{Method: "GET", Path: created.Path + "/" + b.ID, Headers: map[string]string{}, Status: 200, Body: string(data)}
	for name, value := range answered(t, r, "GET", "/system")[0].Headers {
		look.Headers[name] = value
	}
	c, p := play(t, r, wire.Recording{Exchanges: []wire.Exchange{look}})
	object := created.Form["url"][0]
	if _, err := c.PutObject(t.Context(), "flaky", strings.TrimPrefix(object, "object://flaky/"), func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("a pack")), nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.StartBuild(t.Context(), "flaky", object, buildOptions(r, created)); err != nil {
		t.Fatal(err)
	}
	var out safeBuffer
	if b, err := c.Watch(t.Context(), "flaky", b.ID, &out); err != nil || b.Status != rack.BuildComplete || out.String() != "" {
		t.Errorf("build %v, %v, log %q", b, err, &out)
	}
	p.done()
}

func listBuilds(t *testing.T, r wire.Recording) {
	limit := 0
	for _, text := range flag(r, "limit") {
		limit, _ = strconv.Atoi(text) // 0 shows in the query
	}
	c, _ := play(t, r)
	bs, err := c.Builds(t.Context(), "myapp", limit)
	if err != nil {
		t.Fatal(err)
	}
	carries(t, answered(t, r, "GET", "/builds")[0].Body, bs)
}

func buildInfo(t *testing.T, r wire.Recording) {
	c, _ := play(t, r)
	b, err := c.Build(t.Context(), "myapp", r.Argv[3])
	if err != nil {
		t.Fatal(err)
	}
	carries(t, last(r).Body, b)
}

func buildMissing(t *testing.T, r wire.Recording) {
	c, _ := play(t, r)
	_, err := c.Build(t.Context(), "myapp", path.Base(last(r).Path))
	wantKind(t, err, rack.ErrNotFound, last(r).Body)
}

// buildLog asks for the record first, which official clients do not; what it is
// was recorded elsewhere.
func buildLog(t *testing.T, r wire.Recording) {
	c, _ := play(t, wire.Load(t, r.CLI+"-builds-info"), r)
	var out safeBuffer
	if err := c.Log(t.Context(), "myapp", r.Argv[3], &out); err != nil || out.String() != r.Stdout {
		t.Errorf("got %q, %v, want %q", &out, err, r.Stdout)
	}
}

// buildLogMissing: the official client takes the rack's words for the log.
func buildLogMissing(t *testing.T, r wire.Recording) {
	missing := wire.Load(t, r.CLI+"-builds-info-missing")
	c, _ := play(t, missing, r)
	var out safeBuffer
	err := c.Log(t.Context(), "myapp", r.Argv[3], &out)
	wantKind(t, err, rack.ErrNotFound, last(missing).Body)
	if out.String() != "" {
		t.Errorf("log is %q", &out)
	}
}

// deploy goes on after a build, to the verdict that the official client came to
// where it waited for one. One of v2 that was not told to wait did not.
func deploy(t *testing.T, r wire.Recording) {
	c, p := play(t, r)
	b := build(t, c, r)
	conclude(t, c, r, b.App, b.Release)
	p.done()
}

// conclude promotes a release as a recorded client did.
func conclude(t *testing.T, c *rack.Client, r wire.Recording, app, release string) {
	t.Helper()
	before := rack.App{Name: app, Release: "RSEEDRELEAS", Status: rack.AppRunning}
	if looksAtApp(r, app) {
		var err error
		waited := 0
		if before, err = c.AwaitRest(t.Context(), app, func(rack.App) { waited++ }); err != nil {
			t.Fatal(err)
		}
		if (waited > 0) != strings.Contains(r.Stdout, "Waiting for app to be ready") {
			t.Errorf("waited %d times", waited)
		}
	}
	if _, err := c.BeginPromote(t.Context(), before, release, given(r, "force")); err != nil {
		t.Fatal(err)
	}
	if r.CLI == "v2" && !given(r, "wait") {
		return
	}
	want := rack.Live
	if r.ExitCode != 0 {
		want = rack.RolledBack
	}
	if o := c.Await(t.Context(), app, release, before.Release); o.Verdict != want {
		t.Errorf("got %+v", o)
	}
}

// looksAtApp tells whether a recorded client looked at the app before it
// promoted. It does not before a rollback.
func looksAtApp(r wire.Recording, app string) bool {
	for _, e := range r.Exchanges {
		if e.Method == "GET" && e.Path == "/apps/"+app {
			return true
		}
		if strings.HasSuffix(e.Path, "/promote") {
			return false
		}
	}
	return false
}
