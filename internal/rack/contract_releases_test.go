package rack_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/wire"
)

func listReleases(t *testing.T, r wire.Recording) {
	c, _ := play(t, r)
	rs, err := c.Releases(t.Context(), "myapp", 0)
	if err != nil {
		t.Fatal(err)
	}
	carries(t, last(r).Body, rs)
}

// releaseInfo is for the manifest too, which is in the release. Official clients
// look at the build besides.
func releaseInfo(t *testing.T, r wire.Recording) {
	c, _ := play(t, r)
	rel, err := c.Release(t.Context(), "myapp", r.Argv[3])
	if err != nil {
		t.Fatal(err)
	}
	carries(t, answered(t, r, "GET", "/releases/"+r.Argv[3])[0].Body, rel)
	if r.Argv[2] == "manifest" && rel.Manifest != r.Stdout {
		t.Errorf("manifest is %q, want %q", rel.Manifest, r.Stdout)
	}
}

func promote(t *testing.T, r wire.Recording) {
	app := r.Argv[len(r.Argv)-1]
	c, p := play(t, r)
	conclude(t, c, r, app, r.Argv[3])
	p.done()
}

func promoteLatest(t *testing.T, r wire.Recording) {
	c, p := play(t, r)
	rs, err := c.Releases(t.Context(), "myapp", 1)
	if err != nil || len(rs) != 1 {
		t.Fatalf("releases are %v, %v", rs, err)
	}
	conclude(t, c, r, "myapp", rs[0].ID)
	p.done()
}

func promoteOlder(t *testing.T, r wire.Recording) {
	c, p := play(t, r)
	a, err := c.App(t.Context(), "myapp")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.BeginPromote(t.Context(), a, r.Argv[3], false)
	wantKind(t, err, nil, last(r).Body)
	p.done()
}

// rollBack makes a release as official clients do. Our own rollback gives it the
// description of the release that is gone back to, too.
func rollBack(t *testing.T, r wire.Recording) {
	c, p := play(t, r)
	to, err := c.Release(t.Context(), "myapp", r.Argv[3])
	if err != nil {
		t.Fatal(err)
	}
	made := makeRelease(t, c, r, rack.ReleaseOptions{Build: to.Build, Env: &to.Env})
	conclude(t, c, r, "myapp", made.ID)
	p.done()
}

func makeRelease(t *testing.T, c *rack.Client, r wire.Recording, o rack.ReleaseOptions) rack.Release {
	t.Helper()
	made, err := c.MakeRelease(t.Context(), "myapp", o)
	if err != nil {
		t.Fatal(err)
	}
	carries(t, answered(t, r, "POST", "/releases")[0].Body, made)
	if !strings.Contains(r.Stdout+r.Stderr, made.ID) {
		t.Errorf("release is %s, and the client said %s", made.ID, r.Stdout)
	}
	return made
}

// releaseFrom makes a release of one's build and another's environment.
func releaseFrom(t *testing.T, r wire.Recording) {
	c, p := play(t, r)
	a, err := c.App(t.Context(), "myapp")
	if err != nil {
		t.Fatal(err)
	}
	built, err := c.Release(t.Context(), "myapp", flag(r, "build-from")[0])
	if err != nil {
		t.Fatal(err)
	}
	active, err := c.Release(t.Context(), "myapp", a.Release)
	if err != nil {
		t.Fatal(err)
	}
	makeRelease(t, c, r, rack.ReleaseOptions{Build: built.Build, Env: &active.Env,
		Description: "Created from build release: " + built.ID + " and environment release: " + active.ID})
	p.done()
}

func env(t *testing.T, r wire.Recording) {
	c, _ := play(t, r)
	rel, ok, err := c.NewestRelease(t.Context(), "myapp")
	if err != nil || !ok {
		t.Fatalf("release is %v, %t, %v", rel, ok, err)
	}
	carries(t, last(r).Body, rel)
	said := rack.FormatEnv(rel.Variables())
	if r.Argv[2] == "get" {
		said = rel.Variables()[r.Argv[3]]
	}
	if said+"\n" != r.Stdout {
		t.Errorf("got %q, want %q", said, r.Stdout)
	}
}

// setEnv sets variables, or takes one away, for which there is no command of its
// own here: the rest is set in place of all.
func setEnv(t *testing.T, r wire.Recording) {
	c, p := play(t, r)
	next := map[string]string{}
	if !given(r, "replace") {
		rel, _, err := c.NewestRelease(t.Context(), "myapp")
		if err != nil {
			t.Fatal(err)
		}
		next = rel.Variables()
	}
	lines := "A=1\nB=two words\nC=\n" // where they came by standard input
	if words := r.Argv[3 : len(r.Argv)-2]; len(words) > 0 {
		lines = strings.Join(words, "\n")
	}
	if r.Argv[2] == "unset" {
		delete(next, lines)
	} else {
		maps.Copy(next, rack.ParseEnv(lines))
	}
	text := rack.FormatEnv(next)
	made := makeRelease(t, c, r, rack.ReleaseOptions{Env: &text})
	if given(r, "promote") {
		conclude(t, c, r, "myapp", made.ID)
	}
	p.done()
}
