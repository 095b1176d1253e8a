// Package storetest is what a rack relies on in its stores, as one test suite
// for every way to keep them.
package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

// Run checks the promises of the interfaces in package rackd. fresh prepares
// data with nothing in it and returns the function that opens it; each later
// call of that closes what the last one opened and opens the same data again,
// as a new process does.
func Run(t *testing.T, fresh func(t *testing.T) (open func() rackd.Stores)) {
	for _, test := range []struct {
		name  string
		check func(t *testing.T, open func() rackd.Stores)
	}{
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
		{"what is removed is gone", testRemoval},
		{"registries", testRegistries},
		{"objects", testObjects},
		{"objects under strange keys", testKeys},
		{"objects are whole or absent", testWholeObjects},
		{"objects appear at their end", testLateObjects},
		{"racing objects do not mix", testRacingObjects},
		{"listed objects", testListedObjects},
		{"big objects", testBigObjects},
		{"objects outlive the process", testDurableObjects},
	} {
		t.Run(test.name, func(t *testing.T) { test.check(t, fresh(t)) })
	}
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
