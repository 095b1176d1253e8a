package storetest

import (
	"errors"
	"strconv"
	"sync"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

// racers is how many goroutines do the same at once.
const racers = 8

// race runs f in all racers and returns their errors.
func race(f func(racer int) error) []error {
	errs := make([]error, racers)
	begin := make(chan struct{})
	var all sync.WaitGroup
	for i := range racers {
		all.Go(func() {
			<-begin
			errs[i] = f(i)
		})
	}
	close(begin)
	all.Wait()
	return errs
}

// winner returns the one that succeeded; the others must have met a conflict.
func winner(t *testing.T, what string, errs []error) int {
	t.Helper()
	won := -1
	for i, err := range errs {
		switch {
		case err == nil && won >= 0:
			t.Fatalf("%s: %d and %d won", what, won, i)
		case err == nil:
			won = i
		default:
			wantKind(t, what, err, rack.ErrConflict)
		}
	}
	if won < 0 {
		t.Fatalf("%s: nobody won", what)
	}
	return won
}

func testRacingSwaps(t *testing.T, open func() rackd.Stores) {
	s, ctx := open(), t.Context()
	app, build := rack.App{}, rack.Build{}
	for range 5 { // the first makes the records, the others change them
		apps, builds := make([]rack.App, racers), make([]rack.Build, racers)
		for i := range racers {
			apps[i] = rack.App{Name: "web", Release: app.Release + strconv.Itoa(i)}
			builds[i] = rack.Build{ID: "BA", App: "web", Reason: build.Reason + strconv.Itoa(i)}
		}
		app = apps[winner(t, "apps", race(func(i int) error { return s.Apps.SwapApp(ctx, app, apps[i]) }))]
		build = builds[winner(t, "builds", race(func(i int) error { return s.Builds.SwapBuild(ctx, build, builds[i]) }))]
		wantApp(t, s, app)
		wantBuild(t, s, build)
	}
}

// testSwapsAddUp counts in a record from all sides: a swap that is lost, or
// done twice, shows in the sum.
func testSwapsAddUp(t *testing.T, open func() rackd.Stores) {
	s, ctx := open(), t.Context()
	const rounds = 5
	must(t, s.Apps.SwapApp(ctx, rack.App{}, rack.App{Name: "web", Release: "0"}))
	add := func() error {
		for {
			old, err := s.Apps.App(ctx, "web")
			if err != nil {
				return err
			}
			n, err := strconv.Atoi(old.Release)
			if err != nil {
				return err
			}
			next := old
			next.Release = strconv.Itoa(n + 1)
			if err := s.Apps.SwapApp(ctx, old, next); !errors.Is(err, rack.ErrConflict) {
				return err
			}
		}
	}
	errs := race(func(int) error {
		for range rounds {
			if err := add(); err != nil {
				return err
			}
		}
		return nil
	})
	must(t, errors.Join(errs...))
	wantApp(t, s, rack.App{Name: "web", Release: strconv.Itoa(racers * rounds)})
}

func testRacingReleases(t *testing.T, open func() rackd.Stores) {
	s, ctx := open(), t.Context()
	release := func(i int) rack.Release {
		return rack.Release{ID: "RA", App: "web", Description: strconv.Itoa(i), Created: at(i)}
	}
	won := winner(t, "releases", race(func(i int) error { return s.Releases.AddRelease(ctx, release(i)) }))
	wantRelease(t, s, release(won))
	releases, err := s.Releases.ListReleases(ctx, "web", 0)
	must(t, err)
	if len(releases) != 1 {
		t.Errorf("%d releases of one id", len(releases))
	}
}
