// Package storetest is what a rack relies on in its stores and its registry, as one
// test suite for every way to keep them.
package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

// check is one promise. fresh prepares data with nothing in it and returns the
// function that opens it; each later call of that closes what the last one opened
// and opens the same data again, as a new process does.
type check struct {
	name  string
	check func(t *testing.T, open func() rackd.Stores)
}

func run(t *testing.T, fresh func(t *testing.T) (open func() rackd.Stores), checks []check) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) { c.check(t, fresh(t)) })
	}
}

// Records checks the promises of all stores in package rackd but [rackd.Objects],
// which may be nil. fresh prepares data with nothing in it and returns the function
// that opens it; each later call of that closes what the last one opened and opens
// the same data again, as a new process does.
func Records(t *testing.T, fresh func(t *testing.T) (open func() rackd.Stores)) {
	run(t, fresh, []check{
		{"apps", testApps},
		{"builds", testBuilds},
		{"releases", testReleases},
		{"whole records", testWholeRecords},
		{"one of many swaps wins", testRacingSwaps},
		{"no swap is lost", testSwapsAddUp},
		{"one of many releases wins", testRacingReleases},
		{"records outlive the process", testDurableRecords},
		{"parameters", testParameters},
		{"one of many changes of parameters wins", testRacingParameters},
		{"removed records are gone", testRemoval},
		{"registries", testRegistries},
		{"one of many registries stays", testRacingRegistries},
		{"dropped builds are in the trash", testTrash},
		{"nothing is dropped that has changed", testStaleDrop},
		{"a build is dropped or changed", testRacingDrop},
		{"nobody sees half of a drop", testWholeDrops},
		{"lists are of now", testFreshLists},
		{"long lists", testLongLists},
	})
}

// Objects checks the promises of [rackd.Objects] alone; see [Records].
func Objects(t *testing.T, fresh func(t *testing.T) (open func() rackd.Stores)) {
	run(t, fresh, []check{
		{"objects", testObjects},
		{"objects under strange keys", testKeys},
		{"objects are whole or absent", testWholeObjects},
		{"objects appear at their end", testLateObjects},
		{"racing objects do not mix", testRacingObjects},
		{"listed objects", testListedObjects},
		{"big objects", testBigObjects},
		{"objects outlive the process", testDurableObjects},
		{"removed objects are gone", testRemovedObjects},
		{"old objects", testOldObjects},
	})
}

// at is a time in the tests; the larger the later. The nanoseconds must survive.
func at(second int) time.Time {
	return time.Date(2026, 1, 2, 3, 4, second, 123_456_789, time.UTC)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantKind fails unless err is of a kind.
func wantKind(t *testing.T, what string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: error is %v, want one that is %q", what, err, kind)
	}
}

// wantApp fails unless the app is stored as it is given.
func wantApp(t *testing.T, s rackd.Stores, want rack.App) {
	t.Helper()
	got, err := s.Apps.App(t.Context(), want.Name)
	must(t, err)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("app %s (-want +got):\n%s", want.Name, d)
	}
}

func wantBuild(t *testing.T, s rackd.Stores, want rack.Build) {
	t.Helper()
	got, err := s.Builds.Build(t.Context(), want.App, want.ID)
	must(t, err)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("build %s (-want +got):\n%s", want.ID, d)
	}
}

func wantRelease(t *testing.T, s rackd.Stores, want rack.Release) {
	t.Helper()
	got, err := s.Releases.Release(t.Context(), want.App, want.ID)
	must(t, err)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("release %s (-want +got):\n%s", want.ID, d)
	}
}
