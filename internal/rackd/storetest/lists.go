package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

// testFreshLists looks for what was just stored, while others store as well.
func testFreshLists(t *testing.T, open func() rackd.Stores) {
	s, ctx := open(), t.Context()
	must(t, errors.Join(race(func(i int) error {
		for n := range 5 {
			id := fmt.Sprintf("%d-%d", i, n)
			err := errors.Join(
				s.Apps.SwapApp(ctx, rack.App{}, rack.App{Name: "app-" + id}),
				s.Builds.SwapBuild(ctx, rack.Build{}, rack.Build{ID: id, App: "web", Started: at(i)}),
				s.Releases.AddRelease(ctx, rack.Release{ID: id, App: "web", Created: at(i)}),
			)
			if err != nil {
				return err
			}
			apps, fault1 := s.Apps.ListApps(ctx)
			builds, fault2 := s.Builds.ListBuilds(ctx, "web", 0)
			releases, fault3 := s.Releases.ListReleases(ctx, "web", 0)
			if err := errors.Join(fault1, fault2, fault3); err != nil {
				return err
			}
			if !slices.ContainsFunc(apps, func(a rack.App) bool { return a.Name == "app-"+id }) ||
				!slices.ContainsFunc(builds, func(b rack.Build) bool { return b.ID == id }) ||
				!slices.ContainsFunc(releases, func(r rack.Release) bool { return r.ID == id }) {
				return fmt.Errorf("%s is not in all lists", id)
			}
		}
		return nil
	})...))
}

// testLongLists lists more than fits into one answer of most databases, of records
// as long as they come.
func testLongLists(t *testing.T, open func() rackd.Stores) {
	s, ctx := open(), t.Context()
	const long = 5
	manifest := strings.Repeat("# 世界\n", rackd.MaxManifest/len("# 世界\n"))
	var want []string
	for i := range long {
		id := fmt.Sprint("X", i)
		must(t, s.Builds.SwapBuild(ctx, rack.Build{}, rack.Build{ID: id, App: "web", Manifest: manifest, Started: at(i)}))
		must(t, s.Releases.AddRelease(ctx, rack.Release{ID: id, App: "web", Manifest: manifest, Created: at(i)}))
		want = append([]string{id}, want...)
	}
	builds, err := s.Builds.ListBuilds(ctx, "web", 0)
	must(t, err)
	releases, err := s.Releases.ListReleases(ctx, "web", 0)
	must(t, err)
	var gotBuilds, gotReleases []string
	for _, b := range builds {
		gotBuilds = append(gotBuilds, b.ID)
		if b.Manifest != manifest {
			t.Errorf("the manifest of build %s has %d bytes", b.ID, len(b.Manifest))
		}
	}
	for _, r := range releases {
		gotReleases = append(gotReleases, r.ID)
		if r.Manifest != manifest {
			t.Errorf("the manifest of release %s has %d bytes", r.ID, len(r.Manifest))
		}
	}
	if !slices.Equal(gotBuilds, want) || !slices.Equal(gotReleases, want) {
		t.Errorf("builds %q, releases %q, want %q", gotBuilds, gotReleases, want)
	}
}
