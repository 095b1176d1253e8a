package storetest

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

func testApps(t *testing.T, open func() rackd.Stores) {
	s, ctx := open(), t.Context()
	if apps, err := s.Apps.ListApps(ctx); err != nil || len(apps) != 0 {
		t.Errorf("apps at first: %v, %v", apps, err)
	}
	_, err := s.Apps.App(ctx, "web")
	wantKind(t, "app that is not there", err, rack.ErrNotFound)

	first := rack.App{Name: "web", Status: rack.AppRunning}
	second := rack.App{Name: "web", Status: rack.AppUpdating}
	wantKind(t, "swap of an app that is not there", s.Apps.SwapApp(ctx, first, second), rack.ErrConflict)
	_, err = s.Apps.App(ctx, "web")
	wantKind(t, "app after a refused swap", err, rack.ErrNotFound)

	must(t, s.Apps.SwapApp(ctx, rack.App{}, first))
	wantKind(t, "second app of a name", s.Apps.SwapApp(ctx, rack.App{}, second), rack.ErrConflict)
	wantApp(t, s, first)
	must(t, s.Apps.SwapApp(ctx, first, second))
	wantKind(t, "swap of what is gone", s.Apps.SwapApp(ctx, first, rack.App{Name: "web", Release: "R"}), rack.ErrConflict)
	wantApp(t, s, second)

	for _, name := range []string{"zoo", "a", "a-b", "ab"} {
		must(t, s.Apps.SwapApp(ctx, rack.App{}, rack.App{Name: name}))
	}
	apps, err := s.Apps.ListApps(ctx)
	must(t, err)
	var names []string
	for _, a := range apps {
		names = append(names, a.Name)
	}
	if d := cmp.Diff([]string{"a", "a-b", "ab", "web", "zoo"}, names); d != "" {
		t.Errorf("order of apps (-want +got):\n%s", d)
	}
}

func testBuilds(t *testing.T, open func() rackd.Stores) {
	s, ctx := open(), t.Context()
	if builds, err := s.Builds.ListBuilds(ctx, "web", 0); err != nil || len(builds) != 0 {
		t.Errorf("builds at first: %v, %v", builds, err)
	}
	_, err := s.Builds.Build(ctx, "web", "BA")
	wantKind(t, "build that is not there", err, rack.ErrNotFound)

	first := rack.Build{ID: "BA", App: "web", Status: rack.BuildRunning, Started: at(5)}
	second := first
	second.Status, second.Ended = rack.BuildComplete, at(6)
	wantKind(t, "swap of a build that is not there", s.Builds.SwapBuild(ctx, first, second), rack.ErrConflict)
	must(t, s.Builds.SwapBuild(ctx, rack.Build{}, first))
	wantKind(t, "second build of an id", s.Builds.SwapBuild(ctx, rack.Build{}, second), rack.ErrConflict)
	wantBuild(t, s, first)
	must(t, s.Builds.SwapBuild(ctx, first, second))
	wantKind(t, "swap of what is gone", s.Builds.SwapBuild(ctx, first, first), rack.ErrConflict)
	wantBuild(t, s, second)
	_, err = s.Builds.Build(ctx, "other", "BA")
	wantKind(t, "build of another app", err, rack.ErrNotFound)

	for id, started := range map[string]int{"BB": 9, "BC": 1, "BD": 7} {
		must(t, s.Builds.SwapBuild(ctx, rack.Build{}, rack.Build{ID: id, App: "web", Started: at(started)}))
	}
	must(t, s.Builds.SwapBuild(ctx, rack.Build{}, rack.Build{ID: "BX", App: "other", Started: at(8)}))
	wantList(t, "builds", "BB BD BA BC", func(limit int) (ids []string, err error) {
		builds, err := s.Builds.ListBuilds(ctx, "web", limit)
		for _, b := range builds {
			ids = append(ids, b.ID)
		}
		return ids, err
	})
}

func testReleases(t *testing.T, open func() rackd.Stores) {
	s, ctx := open(), t.Context()
	if releases, err := s.Releases.ListReleases(ctx, "web", 0); err != nil || len(releases) != 0 {
		t.Errorf("releases at first: %v, %v", releases, err)
	}
	_, err := s.Releases.Release(ctx, "web", "RA")
	wantKind(t, "release that is not there", err, rack.ErrNotFound)

	first := rack.Release{ID: "RA", App: "web", Env: "A=1", Created: at(5)}
	must(t, s.Releases.AddRelease(ctx, first))
	wantKind(t, "second release of an id", s.Releases.AddRelease(ctx, rack.Release{ID: "RA", App: "web"}), rack.ErrConflict)
	wantRelease(t, s, first)
	_, err = s.Releases.Release(ctx, "other", "RA")
	wantKind(t, "release of another app", err, rack.ErrNotFound)

	for id, created := range map[string]int{"RB": 9, "RC": 1, "RD": 7} {
		must(t, s.Releases.AddRelease(ctx, rack.Release{ID: id, App: "web", Created: at(created)}))
	}
	must(t, s.Releases.AddRelease(ctx, rack.Release{ID: "RX", App: "other", Created: at(8)}))
	wantList(t, "releases", "RB RD RA RC", func(limit int) (ids []string, err error) {
		releases, err := s.Releases.ListReleases(ctx, "web", limit)
		for _, r := range releases {
			ids = append(ids, r.ID)
		}
		return ids, err
	})
}

// wantList checks a list at every limit. all are its ids, with spaces between.
func wantList(t *testing.T, what, all string, list func(limit int) ([]string, error)) {
	t.Helper()
	ids := strings.Fields(all)
	for limit := range len(ids) + 2 {
		want := ids
		if limit > 0 && limit < len(ids) {
			want = ids[:limit]
		}
		got, err := list(limit)
		must(t, err)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s, limit %d (-want +got):\n%s", what, limit, d)
		}
	}
}

// testWholeRecords checks every field, with what tends to be lost on the way:
// nanoseconds, quotes, newlines, other alphabets, length.
func testWholeRecords(t *testing.T, open func() rackd.Stores) {
	s, ctx := open(), t.Context()
	text := "\"quoted\" <b>&amp; ünïcödé 世界 \u2028\n\tline two\x00\r\n"
	long := strings.Repeat("# a line of a manifest\n", 10_000)
	app := rack.App{
		Generation: "2", Locked: true, Name: "web", Release: "RAAAAAAAAAA", Router: "nginx", Status: rack.AppUpdating,
		Parameters: map[string]string{"A": "1", "B": text},
	}
	build := rack.Build{
		ID: "BAAAAAAAAAA", App: "web", Description: text, Entrypoint: "/bin/sh -c 'a b'", GitSHA: "0123abc", Logs: "object://web/build/B/logs",
		Manifest: long, Process: "build-x", Release: "RAAAAAAAAAA", Reason: "exit status 1", Repository: "host/app",
		Status: rack.BuildFailed, WildcardDomain: true, Started: at(1), Ended: at(2),
	}
	release := rack.Release{
		ID: "RAAAAAAAAAA", App: "web", Build: "BAAAAAAAAAA", Env: "A=1\nB=" + text, Manifest: long, Description: text, Created: at(3),
	}
	for _, record := range []any{app, build, release} {
		v := reflect.ValueOf(record)
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				t.Errorf("the test leaves %s.%s out", v.Type(), v.Type().Field(i).Name)
			}
		}
	}
	must(t, s.Apps.SwapApp(ctx, rack.App{}, app))
	must(t, s.Builds.SwapBuild(ctx, rack.Build{}, build))
	must(t, s.Releases.AddRelease(ctx, release))
	wantApp(t, s, app)
	wantBuild(t, s, build)
	wantRelease(t, s, release)

	unset := rack.Build{ID: "BBBBBBBBBBB", App: "web"} // its times are the zero ones
	must(t, s.Builds.SwapBuild(ctx, rack.Build{}, unset))
	wantBuild(t, s, unset)

	// What was read is what a swap may be based on, whatever its time was made of.
	read, err := s.Builds.Build(ctx, "web", build.ID)
	must(t, err)
	local := read
	local.Started = local.Started.In(time.FixedZone("elsewhere", 3600)).UTC()
	must(t, s.Builds.SwapBuild(ctx, local, unsetRelease(read)))
	wantBuild(t, s, unsetRelease(build))
}

func unsetRelease(b rack.Build) rack.Build {
	b.Release = ""
	return b
}

func testDurableRecords(t *testing.T, open func() rackd.Stores) {
	s, ctx := open(), t.Context()
	first := rack.App{Name: "web", Status: rack.AppRunning}
	app := rack.App{Name: "web", Status: rack.AppRunning, Release: "RA"}
	must(t, s.Apps.SwapApp(ctx, rack.App{}, first))
	must(t, s.Apps.SwapApp(ctx, first, app))
	build := rack.Build{ID: "BA", App: "web", Started: at(1)}
	must(t, s.Builds.SwapBuild(ctx, rack.Build{}, build))
	release := rack.Release{ID: "RA", App: "web", Created: at(2)}
	must(t, s.Releases.AddRelease(ctx, release))

	s = open()
	wantApp(t, s, app)
	wantBuild(t, s, build)
	wantRelease(t, s, release)
	wantKind(t, "swap from what is gone", s.Apps.SwapApp(ctx, first, first), rack.ErrConflict)
	next := app
	next.Status = rack.AppUpdating
	must(t, s.Apps.SwapApp(ctx, app, next))
	for i := range 3 {
		must(t, s.Builds.SwapBuild(ctx, rack.Build{}, rack.Build{ID: fmt.Sprint("B", i), App: "web", Started: at(i + 5)}))
	}
	builds, err := open().Builds.ListBuilds(ctx, "web", 0)
	must(t, err)
	if len(builds) != 4 || builds[3].ID != "BA" {
		t.Errorf("builds in the end: %v", builds)
	}
}
