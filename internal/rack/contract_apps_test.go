package rack_test

import (
	"errors"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/wire"
)

func apps(t *testing.T, r wire.Recording) {
	c, _ := play(t, r)
	as, err := c.Apps(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	carries(t, answered(t, r, "GET", "/apps")[0].Body, as)
}

// cancelApp leaves the releases as they are. The official client makes the last
// one again, so that the next release does not begin from the one given up.
func cancelApp(t *testing.T, r wire.Recording) {
	c, p := play(t, r)
	if err := c.CancelApp(t.Context(), "updating"); err != nil {
		t.Error(err)
	}
	p.done("/releases")
}

func createApp(t *testing.T, r wire.Recording) {
	e := answered(t, r, "POST", "/apps")[0]
	c, p := play(t, r)
	a, err := c.CreateApp(t.Context(), r.Argv[3])
	if err != nil {
		t.Fatal(err)
	}
	carries(t, e.Body, a)
	p.done()
}

func appInfo(t *testing.T, r wire.Recording) {
	c, _ := play(t, r)
	a, err := c.App(t.Context(), "myapp")
	if err != nil {
		t.Fatal(err)
	}
	carries(t, answered(t, r, "GET", "/apps/myapp")[0].Body, a)
}

func appMissing(t *testing.T, r wire.Recording) {
	c, _ := play(t, r)
	_, err := c.App(t.Context(), path.Base(last(r).Path))
	wantKind(t, err, rack.ErrNotFound, last(r).Body)
}

// wantKind wants an error of a kind, in the rack's own words.
func wantKind(t *testing.T, err, kind error, words string) {
	t.Helper()
	if kind != nil && !errors.Is(err, kind) || err == nil || err.Error() != strings.TrimSpace(words) {
		t.Errorf("error is %v, want %v: %s", err, kind, words)
	}
}

func noSuchRack(t *testing.T, r wire.Recording) {
	c, _ := play(t, r)
	_, err := c.Apps(t.Context())
	wantKind(t, err, rack.ErrNotFound, last(r).Body)
}

func listRacks(t *testing.T, r wire.Recording) {
	c, _ := play(t, r)
	wantRacks(t, c)
}

func wantRacks(t *testing.T, c *rack.Client) {
	t.Helper()
	rs, err := c.Racks(t.Context())
	var names []string
	for _, r := range rs {
		names = append(names, r.FullName()+" "+r.Provider+" "+r.Status)
	}
	if err != nil || !slices.Equal(names, []string{"acme/fake aws running"}) {
		t.Errorf("racks are %q, %v", names, err)
	}
}

// rackByPart asks a console for its racks although one is named, by the client
// itself from the part of a name that a user gave.
func rackByPart(t *testing.T, r wire.Recording) {
	c, _ := play(t, r)
	wantRacks(t, c)
	as, err := c.Apps(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	carries(t, last(r).Body, as)
}

// system asks for the rack, with a session where the console wants one: clients
// of v3 ask for the list of racks first, and it is there that it wants it.
func system(t *testing.T, r wire.Recording) {
	c, p := play(t, r)
	askSystem(t, c, r)
	p.done()
}

func askSystem(t *testing.T, c *rack.Client, r wire.Recording) {
	t.Helper()
	if r.CLI == "v3" && r.Mode != "direct" {
		wantRacks(t, c)
	}
	s, err := c.System(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	answers := answered(t, r, "GET", "/system")
	carries(t, answers[len(answers)-1].Body, s)
}
