package dynamodb_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/rackd/dynamodb"
)

// long is a manifest that is too long for an item.
var long = strings.Repeat("# a line of a manifest\n", 16_000)

func at(second int) time.Time { return time.Date(2026, 1, 2, 3, 4, second, 123_456_789, time.UTC) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// state is what can be read of an app.
type state struct {
	App      rack.App
	Builds   []rack.Build
	Releases []rack.Release
	Trash    []rack.Build
	Servers  []rack.Registry
}

// read reads the state, beginning with one of its parts: who reads first may have to
// finish what the killed process began.
func read(t *testing.T, s *dynamodb.Store, first int) (now state) {
	t.Helper()
	ctx := t.Context()
	readers := []func() error{
		func() (err error) { now.Builds, err = s.ListBuilds(ctx, "web", 0); return err },
		func() (err error) { now.Releases, err = s.ListReleases(ctx, "web", 0); return err },
		func() (err error) { now.Trash, err = s.Dropped(ctx); return err },
		func() (err error) { now.Servers, err = s.ListRegistries(ctx); return err },
		func() (err error) {
			if now.App, err = s.App(ctx, "web"); errors.Is(err, rack.ErrNotFound) {
				err = nil
			}
			return err
		},
	}
	for i := range readers {
		must(t, readers[(first+i)%len(readers)]())
	}
	for _, b := range now.Builds {
		if got, err := s.Build(ctx, "web", b.ID); err != nil || got != b {
			t.Errorf("build %s is listed, and alone it is %v", b.ID, err)
		}
	}
	for _, r := range now.Releases {
		if got, err := s.Release(ctx, "web", r.ID); err != nil || got != r {
			t.Errorf("release %s is listed, and alone it is %v", r.ID, err)
		}
	}
	return now
}

// fillRack stores an app and a registry, fillBuilds builds and releases.
func fillRack(t *testing.T, s rackd.Stores) {
	t.Helper()
	must(t, s.Apps.SwapApp(t.Context(), rack.App{}, rack.App{Name: "web", Parameters: map[string]string{"A": long}}))
	must(t, s.Registries.PutRegistry(t.Context(), rack.Registry{Server: "a.example", Username: "ann", Password: long}))
}

func fillBuilds(t *testing.T, s rackd.Stores) {
	t.Helper()
	ctx := t.Context()
	must(t, s.Builds.SwapBuild(ctx, rack.Build{}, rack.Build{ID: "BA", App: "web", Started: at(1)}))
	must(t, s.Builds.SwapBuild(ctx, rack.Build{}, rack.Build{ID: "BB", App: "web", Started: at(2)}))
	for i, build := range []string{"BA", "BB", "BA", ""} {
		must(t, s.Releases.AddRelease(ctx, rack.Release{ID: fmt.Sprint("R", i), App: "web", Build: build, Env: "A=1", Created: at(i)}))
	}
}

// fillLong stores ones that are in pieces.
func fillLong(t *testing.T, s rackd.Stores) {
	t.Helper()
	must(t, s.Builds.SwapBuild(t.Context(), rack.Build{}, rack.Build{ID: "BL", App: "web", Manifest: long, Started: at(1)}))
	must(t, s.Releases.AddRelease(t.Context(), rack.Release{ID: "RL", App: "web", Build: "BL", Manifest: long, Created: at(1)}))
}

// TestKilled kills a process after each of the writes of what takes several. The next
// one finds the records as they were before, or as they are to be, and can do the
// same again.
func TestKilled(t *testing.T) {
	ctx := t.Context()
	short := rack.Build{ID: "BA", App: "web", Started: at(1)}
	ba := rack.Build{ID: "BL", App: "web", Manifest: long, Started: at(1)}
	changed := rack.Build{ID: "BL", App: "web", Manifest: long + "# changed", Status: rack.BuildRunning, Started: at(9)}
	added := rack.Build{ID: "BC", App: "web", Manifest: long + long, Started: at(3)}
	release := rack.Release{ID: "R9", App: "web", Build: "BB", Env: strings.Repeat("A=1\n", 70_000), Manifest: long, Created: at(3)}
	app := rack.App{Name: "web", Parameters: map[string]string{"A": long}}
	server := rack.Registry{Server: "a.example", Username: "ann", Password: long + "new"}
	drop := func(s rackd.Stores) error { return s.Trash.DropBuild(ctx, ba) }
	none := func(rackd.Stores) error { return nil }
	for name, test := range map[string]killing{
		"drop":                {fillBuilds, none, func(s rackd.Stores) error { return s.Trash.DropBuild(ctx, short) }, rack.ErrConflict, false},
		"drop of long texts":  {fillLong, none, drop, rack.ErrConflict, false},
		"change of a build":   {fillLong, none, func(s rackd.Stores) error { return s.Builds.SwapBuild(ctx, ba, changed) }, rack.ErrConflict, false},
		"new build":           {fillBuilds, none, func(s rackd.Stores) error { return s.Builds.SwapBuild(ctx, rack.Build{}, added) }, rack.ErrConflict, false},
		"new release":         {fillBuilds, none, func(s rackd.Stores) error { return s.Releases.AddRelease(ctx, release) }, rack.ErrConflict, false},
		"removal of builds":   {fillLong, none, func(s rackd.Stores) error { return s.Builds.RemoveBuilds(ctx, "web") }, nil, true},
		"removal of releases": {fillLong, none, func(s rackd.Stores) error { return s.Releases.RemoveReleases(ctx, "web") }, nil, true},
		"end of a drop":       {fillLong, drop, func(s rackd.Stores) error { return s.Trash.ForgetBuild(ctx, ba) }, nil, false},
		"build under the id of a dropped one": {fillLong, drop,
			func(s rackd.Stores) error { return s.Builds.SwapBuild(ctx, rack.Build{}, ba) }, rack.ErrConflict, false},
		"change of an app":    {fillRack, none, func(s rackd.Stores) error { return s.Apps.SwapApp(ctx, app, rack.App{Name: "web"}) }, rack.ErrConflict, false},
		"removal of an app":   {fillRack, none, func(s rackd.Stores) error { return s.Apps.RemoveApp(ctx, "web") }, nil, false},
		"registry":            {fillRack, none, func(s rackd.Stores) error { return s.Registries.PutRegistry(ctx, server) }, nil, false},
		"removal of registry": {fillRack, none, func(s rackd.Stores) error { return s.Registries.RemoveRegistry(ctx, "a.example") }, rack.ErrNotFound, false},
	} {
		t.Run(name, func(t *testing.T) {
			orders := 1
			if name == "drop" {
				orders = 3 // who reads first finishes what was begun
			}
			for first := range orders {
				writes := 0
				for ; !test.kill(t, writes, first); writes++ {
				}
				if writes < 1 {
					t.Errorf("it was never killed")
				}
			}
		})
	}
}

// killing is what a process does when it is killed.
type killing struct {
	fill       func(*testing.T, rackd.Stores)
	before, do func(rackd.Stores) error
	again      error // that is expected if it was done
	steps      bool  // some of its records may be gone, and others not
}

// kill does it, and tells whether that took no more than some writes.
func (k killing) kill(t *testing.T, writes, first int) (survived bool) {
	t.Helper()
	l := newLab(t).init(t)
	l.late = true // nothing may depend on what the index shows
	s := l.open(t)
	k.fill(t, s.Stores())
	must(t, k.before(s.Stores()))
	before := read(t, s, first)
	l.killAfter(writes)
	err := k.do(s.Stores())
	l.heal()
	if err != nil && !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	survived = err == nil
	s = l.open(t)
	now := read(t, s, first)
	if err := k.do(s.Stores()); err != nil && !errors.Is(err, k.again) {
		t.Errorf("after %d writes, again: %v", writes, err)
	}
	after := read(t, s, first)
	right := cmp.Equal(now, after) || !survived && cmp.Equal(now, before) || k.steps && !survived && within(now, before, after)
	if cmp.Equal(before, after) || !right {
		t.Errorf("after %d writes (before, then, in the end):\n%s\n%s\n%s", writes, brief(before), brief(now), brief(after))
	}
	wantNothingLeft(t, l, s)
	return survived
}

// within tells whether a state has all of one and nothing that another has not.
func within(now, most, least state) bool {
	has := func(all, some state) bool {
		return !slices.ContainsFunc(some.Builds, func(b rack.Build) bool { return !slices.Contains(all.Builds, b) }) &&
			!slices.ContainsFunc(some.Releases, func(r rack.Release) bool { return !slices.Contains(all.Releases, r) }) &&
			cmp.Equal(all.App, some.App) && cmp.Equal(all.Trash, some.Trash)
	}
	return has(most, now) && has(now, least)
}

// brief shows a state without its manifests.
func brief(s state) string {
	var words []string
	for _, b := range s.Builds {
		words = append(words, fmt.Sprintf("build %s %s %d", b.ID, b.Status, len(b.Manifest)))
	}
	for _, r := range s.Releases {
		words = append(words, fmt.Sprintf("release %s %d", r.ID, len(r.Manifest)))
	}
	for _, b := range s.Trash {
		words = append(words, fmt.Sprintf("dropped %s %d", b.ID, len(b.Manifest)))
	}
	return strings.Join(words, ", ") + fmt.Sprintf(", app %q, %d servers", s.App.Name, len(s.Servers))
}

// wantNothingLeft deletes all that there is, and looks for what nobody reads any
// more: entries and pieces are all that a killed process may leave.
func wantNothingLeft(t *testing.T, l *lab, s *dynamodb.Store) {
	t.Helper()
	ctx := t.Context()
	for _, b := range must2(s.Dropped(ctx))(t) {
		must(t, s.ForgetBuild(ctx, b))
	}
	must(t, s.RemoveBuilds(ctx, "web"))
	must(t, s.RemoveReleases(ctx, "web"))
	if trash := must2(s.Dropped(ctx))(t); len(trash) > 0 {
		t.Errorf("in the trash in the end: %v", trash)
	}
	for _, table := range []string{l.tables.Builds, l.tables.Releases} {
		if all := scan(t, l, table); len(all) > 0 {
			t.Errorf("left in the table %s: %v", table, all)
		}
	}
	for _, item := range scan(t, l, l.tables.Records) {
		part := item["part"]
		if part == "trash" || strings.HasPrefix(part, "builds/") || strings.HasPrefix(part, "releases/") {
			t.Errorf("left in the records: %v", item)
		}
	}
}

func must2[T any](value T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		must(t, err)
		return value
	}
}

// scan reads all of a table, of each item the texts.
func scan(t *testing.T, l *lab, table string) (all []map[string]string) {
	t.Helper()
	yes := true
	for pages := sdk.NewScanPaginator(l.api(), &sdk.ScanInput{TableName: &table, ConsistentRead: &yes}); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		must(t, err)
		for _, item := range page.Items {
			all = append(all, textsIn(item))
		}
	}
	return all
}
