package storetest

import (
	"errors"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

// fill stores one record of each kind of an app, with its name in their ids.
func fill(t *testing.T, s rackd.Stores, app string) {
	t.Helper()
	ctx := t.Context()
	must(t, s.Apps.SwapApp(ctx, rack.App{}, rack.App{Name: app}))
	must(t, s.Builds.SwapBuild(ctx, rack.Build{}, rack.Build{ID: "B" + app, App: app, Started: at(1)}))
	must(t, s.Releases.AddRelease(ctx, rack.Release{ID: "R" + app, App: app, Created: at(1)}))
}

func testRemoval(t *testing.T, open func() rackd.Stores) {
	s, ctx := open(), t.Context()
	remove := func() {
		must(t, s.Builds.RemoveBuilds(ctx, "web"))
		must(t, s.Releases.RemoveReleases(ctx, "web"))
		must(t, s.Apps.RemoveApp(ctx, "web"))
	}
	remove() // of what is not there
	fill(t, s, "web")
	fill(t, s, "web-2")
	remove()
	s = open()
	_, err := s.Apps.App(ctx, "web")
	wantKind(t, "app", err, rack.ErrNotFound)
	wantNoBuild(t, s, "web", "Bweb")
	wantNoRelease(t, s, "web", "Rweb")
	wantApp(t, s, rack.App{Name: "web-2"})
	wantBuild(t, s, rack.Build{ID: "Bweb-2", App: "web-2", Started: at(1)})
	wantRelease(t, s, rack.Release{ID: "Rweb-2", App: "web-2", Created: at(1)})
	fill(t, s, "web") // the name is free again
}

func wantNoBuild(t *testing.T, s rackd.Stores, app, id string) {
	t.Helper()
	_, err := s.Builds.Build(t.Context(), app, id)
	wantKind(t, "build "+id+" of "+app, err, rack.ErrNotFound)
	builds, err := s.Builds.ListBuilds(t.Context(), app, 0)
	must(t, err)
	if slices.ContainsFunc(builds, func(b rack.Build) bool { return b.ID == id }) {
		t.Errorf("build %s of %s is listed", id, app)
	}
}

func wantNoRelease(t *testing.T, s rackd.Stores, app, id string) {
	t.Helper()
	_, err := s.Releases.Release(t.Context(), app, id)
	wantKind(t, "release "+id+" of "+app, err, rack.ErrNotFound)
	releases, err := s.Releases.ListReleases(t.Context(), app, 0)
	must(t, err)
	if slices.ContainsFunc(releases, func(r rack.Release) bool { return r.ID == id }) {
		t.Errorf("release %s of %s is listed", id, app)
	}
}

func testRegistries(t *testing.T, open func() rackd.Stores) {
	s, ctx := open(), t.Context()
	wantKind(t, "registry that is not there", s.Registries.RemoveRegistry(ctx, "a.example"), rack.ErrNotFound)
	first := rack.Registry{Server: "https://b.example/v1/", Username: "ann", Password: "a \"quoted\" ünïcödé"}
	second := rack.Registry{Server: "a.example:5000", Username: "ann", Password: "old"}
	must(t, s.Registries.PutRegistry(ctx, first))
	must(t, s.Registries.PutRegistry(ctx, second))
	second.Password = "new"
	must(t, s.Registries.PutRegistry(ctx, second))
	s = open()
	list, err := s.Registries.ListRegistries(ctx)
	must(t, err)
	if d := cmp.Diff([]rack.Registry{second, first}, list); d != "" {
		t.Errorf("registries (-want +got):\n%s", d)
	}
	must(t, s.Registries.RemoveRegistry(ctx, second.Server))
	wantKind(t, "registry that is gone", s.Registries.RemoveRegistry(ctx, second.Server), rack.ErrNotFound)
	if list, err = s.Registries.ListRegistries(ctx); err != nil || len(list) != 1 || list[0] != first {
		t.Errorf("registries in the end: %v, %v", list, err)
	}
}

func testRacingRegistries(t *testing.T, open func() rackd.Stores) {
	s, ctx := open(), t.Context()
	must(t, errors.Join(race(func(i int) error {
		return s.Registries.PutRegistry(ctx, rack.Registry{Server: "one", Username: strconv.Itoa(i), Password: strconv.Itoa(i)})
	})...))
	list, err := s.Registries.ListRegistries(ctx)
	must(t, err)
	if len(list) != 1 || list[0].Username != list[0].Password {
		t.Errorf("registries: %v", list)
	}
	for i, err := range race(func(int) error { return s.Registries.RemoveRegistry(ctx, "one") }) {
		if err != nil && !errors.Is(err, rack.ErrNotFound) {
			t.Errorf("removal %d: %v", i, err)
		}
	}
}
