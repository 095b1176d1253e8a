package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

func wantTrash(t *testing.T, s rackd.Stores, want ...rack.Build) {
	t.Helper()
	got, err := s.Trash.Dropped(t.Context())
	must(t, err)
	slices.SortFunc(got, func(a, b rack.Build) int { return cmp.Or(cmp.Compare(a.App, b.App), cmp.Compare(a.ID, b.ID)) })
	if d := gocmp.Diff(want, slices.Clip(got)); d != "" && len(want)+len(got) > 0 {
		t.Errorf("trash (-want +got):\n%s", d)
	}
}

func testTrash(t *testing.T, open func() rackd.Stores) {
	s, ctx := open(), t.Context()
	wantTrash(t, s)
	// A build of each of two apps, and one that stays.
	one := rack.Build{ID: "BA", App: "a", Status: rack.BuildComplete, Release: "RA", Manifest: "text", Started: at(1), Ended: at(2)}
	two := rack.Build{ID: "BC", App: "a-b", Status: rack.BuildFailed, Started: at(3)}
	stays := rack.Build{ID: "BB", App: "a", Started: at(4)}
	for _, b := range []rack.Build{one, two, stays} {
		must(t, s.Builds.SwapBuild(ctx, rack.Build{}, b))
	}
	for id, of := range map[string]rack.Build{"RA": one, "RC": one, "RB": stays, "RD": two} {
		must(t, s.Releases.AddRelease(ctx, rack.Release{ID: id, App: of.App, Build: of.ID, Env: "A=1", Created: at(5)}))
	}
	must(t, s.Releases.AddRelease(ctx, rack.Release{ID: "RE", App: "a", Env: "A=1", Created: at(6)})) // of no build

	must(t, s.Trash.DropBuild(ctx, one))
	wantTrash(t, s, one)
	must(t, s.Trash.DropBuild(ctx, two))
	s = open()
	wantTrash(t, s, one, two)
	for _, gone := range []struct{ app, build, release string }{{"a", "BA", "RA"}, {"a", "BA", "RC"}, {"a-b", "BC", "RD"}} {
		wantNoBuild(t, s, gone.app, gone.build)
		wantNoRelease(t, s, gone.app, gone.release)
	}
	wantBuild(t, s, stays)
	wantRelease(t, s, rack.Release{ID: "RB", App: "a", Build: "BB", Env: "A=1", Created: at(5)})
	wantRelease(t, s, rack.Release{ID: "RE", App: "a", Env: "A=1", Created: at(6)})

	must(t, s.Builds.RemoveBuilds(ctx, "a"))
	must(t, s.Trash.ForgetBuild(ctx, two))
	must(t, s.Trash.ForgetBuild(ctx, two)) // which is not there any more
	wantTrash(t, s, one)
	must(t, s.Builds.SwapBuild(ctx, rack.Build{}, one)) // the id is free again
	wantBuild(t, s, one)
	must(t, s.Trash.ForgetBuild(ctx, one))
	wantTrash(t, open())
}

func testStaleDrop(t *testing.T, open func() rackd.Stores) {
	s, ctx := open(), t.Context()
	old := rack.Build{ID: "BA", App: "web", Status: rack.BuildRunning, Started: at(1)}
	wantKind(t, "drop of what is not there", s.Trash.DropBuild(ctx, old), rack.ErrConflict)
	now := old
	now.Status = rack.BuildComplete
	must(t, s.Builds.SwapBuild(ctx, rack.Build{}, now))
	release := rack.Release{ID: "RA", App: "web", Build: "BA", Created: at(2)}
	must(t, s.Releases.AddRelease(ctx, release))
	wantKind(t, "drop of what has changed", s.Trash.DropBuild(ctx, old), rack.ErrConflict)
	s = open()
	wantTrash(t, s)
	wantBuild(t, s, now)
	wantRelease(t, s, release)
	must(t, s.Trash.DropBuild(ctx, now))
	wantKind(t, "second drop", s.Trash.DropBuild(ctx, now), rack.ErrConflict)
	wantTrash(t, s, now)
}

// testRacingDrop drops a build while others change it: one of them wins.
func testRacingDrop(t *testing.T, open func() rackd.Stores) {
	s, ctx := open(), t.Context()
	for round := range 5 {
		old := rack.Build{ID: "B" + string(rune('A'+round)), App: "web", Started: at(1)}
		must(t, s.Builds.SwapBuild(ctx, rack.Build{}, old))
		next := func(i int) rack.Build { b := old; b.Reason = string(rune('a' + i)); return b }
		drops := func(i int) bool { return i%2 == 0 }
		won := winner(t, "drops and swaps", race(func(i int) error {
			if drops(i) {
				return s.Trash.DropBuild(ctx, old)
			}
			return s.Builds.SwapBuild(ctx, old, next(i))
		}))
		if drops(won) {
			wantNoBuild(t, s, "web", old.ID)
			wantTrash(t, s, old)
			must(t, s.Trash.ForgetBuild(ctx, old))
		} else {
			wantBuild(t, s, next(won))
			wantTrash(t, s)
		}
	}
}

// testWholeDrops reads while builds are dropped: all releases of a build are there,
// or none.
func testWholeDrops(t *testing.T, open func() rackd.Stores) {
	s, ctx := open(), t.Context()
	const releases = 4
	for round := range 3 {
		b := rack.Build{ID: "B" + string(rune('A'+round)), App: "web", Started: at(1)}
		must(t, s.Builds.SwapBuild(ctx, rack.Build{}, b))
		for i := range releases {
			must(t, s.Releases.AddRelease(ctx, rack.Release{ID: "R" + b.ID + string(rune('a'+i)), App: "web", Build: b.ID, Created: at(i)}))
		}
		must(t, errors.Join(race(func(i int) error {
			if i == 0 {
				return errors.Join(s.Trash.DropBuild(ctx, b), s.Trash.ForgetBuild(ctx, b))
			}
			for was := releases; was > 0; {
				list, err := s.Releases.ListReleases(ctx, "web", 0)
				if err != nil {
					return err
				}
				if len(list) != 0 && len(list) != releases || len(list) > was {
					return fmt.Errorf("%d releases of %d are listed, before it were %d", len(list), releases, was)
				}
				was = len(list)
			}
			_, err := s.Builds.Build(ctx, "web", b.ID)
			if !errors.Is(err, rack.ErrNotFound) {
				return fmt.Errorf("the releases are gone and the build is not: %w", err)
			}
			return nil
		})...))
		wantTrash(t, s)
	}
}
