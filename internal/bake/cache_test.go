package bake_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/image"
)

const cacheRepository = "registry.test/rack-build-cache"

// The tags of the units of app1.
const (
	tagRoot  = "app1.bd765d3c4f3f729f"
	tagOther = "app1.9a4b232d0e433c05"
)

func TestCache(t *testing.T) {
	const yml = "services:\n  a:\n    build: .\n  b:\n    build: {manifest: Other}\n  c:\n    image: httpd\n"
	files := map[string]string{"Dockerfile": "FROM scratch\n", "Other": "FROM scratch\n"}
	cache := func(to string, from ...string) image.Cache {
		c := image.Cache{To: cacheRepository + ":" + to}
		for _, tag := range from {
			c.From = append(c.From, cacheRepository+":"+tag)
		}
		return c
	}
	for name, c := range map[string]struct {
		tags string
		want []image.Cache
	}{
		"nothing yet":         {"", []image.Cache{cache(tagRoot), cache(tagOther)}},
		"both units":          {tagOther + " x.1 " + tagRoot, []image.Cache{cache(tagRoot, tagRoot, tagOther), cache(tagOther, tagOther, tagRoot)}},
		"one unit is new":     {"x.1 " + tagRoot + " x.2", []image.Cache{cache(tagRoot, tagRoot), cache(tagOther, tagRoot, "x.1", "x.2")}},
		"many of other apps":  {"x.1 x.2 x.3 x.4 x.5", []image.Cache{cache(tagRoot, "x.1", "x.2", "x.3", "x.4"), cache(tagOther, "x.1", "x.2", "x.3", "x.4")}},
		"a unit that is gone": {"app1.0000000000000000", []image.Cache{cache(tagRoot, "app1.0000000000000000"), cache(tagOther, "app1.0000000000000000")}},
	} {
		t.Run(name, func(t *testing.T) {
			o := order(t, yml, files)
			o.Cache = bake.Cache{Repository: cacheRepository, Tags: strings.Fields(c.tags)}
			r := &recorder{}
			if _, _, err := run(t, r, o); err != nil {
				t.Fatal(err)
			}
			var got []image.Cache
			for _, s := range r.specs {
				got = append(got, s.Cache)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("caches (-want +got):\n%s", d)
			}
		})
	}
}

// TestIsCacheTag: the tags of units are known among others'.
func TestIsCacheTag(t *testing.T) {
	for tag, want := range map[string]bool{
		tagRoot: true, tagOther: true, "a_b-1.0123456789abcdef": true, strings.Repeat("0123abcd", 8): false, "app1": false, "app1.9A4B232D0E433C05": false,
		"app1.9a4b232d0e433c0": false, "app1.9a4b232d0e433c055": false, ".9a4b232d0e433c05": false, "web.BABCDEFGHIJ": false, "": false,
	} {
		if bake.IsCacheTag(tag) != want {
			t.Errorf("%q is one: %v", tag, !want)
		}
	}
}

// TestCacheTag: the tag of a unit is its own in every build and no other's.
func TestCacheTag(t *testing.T) {
	tags := map[string]string{}
	for _, c := range []struct{ app, build, yml, want string }{
		{"app1", "B1", "services:\n  a:\n    build: .\n", "root"},
		{"app1", "B2", "services:\n  z:\n    build: {path: ./, args: [A=1]}\n", "root"},
		{"app1", "B1", "services:\n  a:\n    build: {manifest: Other}\n", "Dockerfile"},
		{"app1", "B1", "services:\n  a:\n    build: web\n", "path"},
		{"app2", "B1", "services:\n  a:\n    build: .\n", "app"},
	} {
		o := order(t, c.yml, map[string]string{"Dockerfile": "FROM scratch AS development\nFROM scratch\n", "Other": "", "web/Dockerfile": ""})
		o.App, o.Build, o.Cache.Repository = c.app, c.build, cacheRepository
		for _, o.Development = range []bool{false, true} {
			r := &recorder{}
			if _, _, err := run(t, r, o); err != nil {
				t.Fatal(err)
			}
			if o.Development && (c.want == "root" || c.want == "app") { // whose Dockerfile has such a stage
				c.want += " at another stage"
			}
			if first, ok := tags[r.specs[0].Cache.To]; ok && first != c.want {
				t.Errorf("%s is the tag of %s and of %s", r.specs[0].Cache.To, first, c.want)
			}
			tags[r.specs[0].Cache.To] = c.want
		}
	}
	if len(tags) != 6 { // path, Dockerfile, root and app, these at both stages
		t.Errorf("tags are %v", tags)
	}
}

func TestNoCacheRepository(t *testing.T) {
	r := &recorder{}
	o := order(t, "services:\n  a:\n    build: .\n", map[string]string{"Dockerfile": ""})
	o.Cache.Tags = []string{"x.1"}
	if _, _, err := run(t, r, o); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(image.Cache{}, r.specs[0].Cache); d != "" {
		t.Errorf("cache (-want +got):\n%s", d)
	}
}

// TestCachesThatAreAskedFor: they are as given for one build, and each build of
// several has its own.
func TestCachesThatAreAskedFor(t *testing.T) {
	given := func(kind, name, value string) image.CacheEntry {
		return image.CacheEntry{Type: kind, Attrs: map[string]string{name: value, "mode": "max"}}
	}
	all := []image.CacheEntry{given("registry", "ref", "r.test:5000/app"), given("registry", "ref", "r.test/app:cache"), given("registry", "ref", "r.test/app@sha256:00"),
		given("local", "src", "dir"), given("local", "dest", "dir"), given("gha", "scope", "x"), given("gha", "timeout", "1m")}
	ofWorker := []image.CacheEntry{given("registry", "ref", "r.test:5000/app:worker"), given("registry", "ref", "r.test/app:cache-worker"), given("registry", "ref", "r.test/app@sha256:00"),
		given("local", "src", "dir/worker"), given("local", "dest", "dir/worker"), given("gha", "scope", "x-worker"), given("gha", "timeout", "1m")}
	ofWorker[6].Attrs["scope"] = "buildkit-worker"
	for yml, want := range map[string][]image.CacheEntry{
		"services:\n  worker:\n    build: .\n  web:\n    build: .\n  db:\n    image: x\n":                 all,
		"services:\n  worker:\n    build: .\n  web:\n    build: {manifest: Other}\n  db:\n    image: x\n": ofWorker,
	} {
		o := order(t, yml, map[string]string{"Dockerfile": "FROM scratch\n", "Other": "FROM scratch\n"})
		o.Cache = bake.Cache{From: all, To: all[1:]}
		r := &recorder{}
		if _, _, err := run(t, r, o); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(image.Cache{Imports: want, Exports: want[1:]}, r.specs[0].Cache); d != "" {
			t.Errorf("%s (-want +got):\n%s", yml, d)
		}
	}
}
