package storetest

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

// fill stores one of everything of an app.
func fill(t *testing.T, s rackd.Stores, app string) {
	t.Helper()
	ctx := t.Context()
	must(t, s.Apps.SwapApp(ctx, rack.App{}, rack.App{Name: app}))
	must(t, s.Builds.SwapBuild(ctx, rack.Build{}, rack.Build{ID: "BA", App: app, Started: at(1)}))
	must(t, s.Releases.AddRelease(ctx, rack.Release{ID: "RA", App: app, Created: at(1)}))
	must(t, s.Objects.PutObject(ctx, app, "a", strings.NewReader(app)))
}

func remove(t *testing.T, s rackd.Stores, app string) {
	t.Helper()
	ctx := t.Context()
	must(t, s.Builds.RemoveBuilds(ctx, app))
	must(t, s.Releases.RemoveReleases(ctx, app))
	must(t, s.Objects.RemoveObjects(ctx, app))
	must(t, s.Apps.RemoveApp(ctx, app))
}

func testRemoval(t *testing.T, open func() rackd.Stores) {
	s, ctx := open(), t.Context()
	remove(t, s, "web") // of what is not there
	fill(t, s, "web")
	fill(t, s, "web-2")
	still, err := s.Objects.OpenObject(ctx, "web", "a")
	must(t, err)
	remove(t, s, "web")
	text, err := io.ReadAll(still)
	must(t, err)
	must(t, still.Close())
	if string(text) != "web" {
		t.Errorf("what was open became %q", text)
	}
	s = open()
	_, err = s.Apps.App(ctx, "web")
	wantKind(t, "app", err, rack.ErrNotFound)
	_, err = s.Builds.Build(ctx, "web", "BA")
	wantKind(t, "build", err, rack.ErrNotFound)
	_, err = s.Releases.Release(ctx, "web", "RA")
	wantKind(t, "release", err, rack.ErrNotFound)
	_, err = s.Objects.OpenObject(ctx, "web", "a")
	wantKind(t, "object", err, rack.ErrNotFound)
	wantApp(t, s, rack.App{Name: "web-2"})
	wantBuild(t, s, rack.Build{ID: "BA", App: "web-2", Started: at(1)})
	wantRelease(t, s, rack.Release{ID: "RA", App: "web-2", Created: at(1)})
	kept, err := s.Objects.OpenObject(ctx, "web-2", "a")
	must(t, err)
	must(t, kept.Close())
	fill(t, s, "web") // the name is free again
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
