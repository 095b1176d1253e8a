package workflow

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/manifest"
	"github.com/convox-ci/convox-ci/internal/options"
)

func entry(kind string, words ...string) image.CacheEntry {
	e := image.CacheEntry{Type: kind, Attrs: map[string]string{}}
	for i := 0; i < len(words); i += 2 {
		e.Attrs[words[i]] = words[i+1]
	}
	return e
}

// runner is the environment of an action.
func runner(name string) (string, bool) {
	value, ok := map[string]string{"ACTIONS_RUNTIME_TOKEN": "token-of-the-job", "ACTIONS_RESULTS_URL": "https://results.test/"}[name]
	return value, ok
}

func TestCacheInputs(t *testing.T) {
	c := Caches{
		CacheFrom: "type=registry,ref=r.test/app:cache\n\n  user/app:cache  \ntype=local,src=/tmp/a b\n\"type=local\",src=x,tag=main\ntype=gha,scope=web\n",
		CacheTo:   "type=registry,ref=localhost:5000/app,mode=max\ntype=local,dest=out,compression=zstd\nTYPE=gha,mode=max",
	}
	if err := c.check(true, runner); err != nil {
		t.Fatal(err)
	}
	from, to := c.entries()
	if d := cmp.Diff([]image.CacheEntry{entry("registry", "ref", "r.test/app:cache"), entry("registry", "ref", "user/app:cache"), entry("local", "src", "/tmp/a b"),
		entry("local", "src", "x", "tag", "main"), entry("gha", "scope", "web")}, from); d != "" {
		t.Errorf("from (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]image.CacheEntry{entry("registry", "ref", "localhost:5000/app", "mode", "max"), entry("local", "dest", "out", "compression", "zstd"),
		entry("gha", "mode", "max")}, to); d != "" {
		t.Errorf("to (-want +got):\n%s", d)
	}
	const needs = `cache-to: "type=gha" needs ACTIONS_RUNTIME_TOKEN and ACTIONS_RESULTS_URL, which a runner of GitHub Actions gives to actions and not to commands of run; accepted: a step that uses an action`
	for given, want := range map[string]string{"": needs, "TOKEN": needs, "URL": needs, "ACTIONS_RUNTIME_TOKEN ACTIONS_RESULTS_URL": "", "ACTIONS_RUNTIME_TOKEN ACTIONS_CACHE_URL": ""} {
		err := options.Join(Caches{CacheTo: "type=gha"}.check(true, func(name string) (string, bool) {
			if strings.Contains(given, name) {
				return "x", true
			}
			return "", false
		}))
		if (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("given %s: %v", given, err)
		}
	}
}

func TestCacheFaults(t *testing.T) {
	const accepted = "; accepted: type=registry,ref=REFERENCE, type=local,src=DIRECTORY, type=gha, REFERENCE"
	for line, want := range map[string]string{
		"type=s3,bucket=x":                  "names no type of cache that is known here",
		"ref=r.test/x":                      "names no type of cache that is known here",
		"type=registry":                     "lacks the reference of an image, ref",
		"type=registry,ref=a b":             "lacks the reference of an image, ref",
		"https://r.test/x y":                "lacks the reference of an image, ref",
		"type=registry,ref=r.test/x,ref=y":  `has "ref=y" where NAME=VALUE is due, each name once`,
		"type=registry,ref=r.test/x,max":    `has "max" where NAME=VALUE is due, each name once`,
		"type=registry,ref=r.test/x,src=y":  "has src, which is not for it",
		"type=registry,ref=x,mode=max":      "has a mode that is neither min nor max of a cache that is written",
		"type=local,dest=x":                 "has dest, which is not for it",
		"type=local":                        "lacks a directory, src",
		"type=gha,token=secret-of-the-job":  "has token, which is not for it",
		"type=gha,timeout=5":                "has a timeout that is no time, for example 5m",
		"type=gha,timeout=-5m":              "has a timeout that is no time, for example 5m",
		"type=local,\"src=x":                "is not a line of NAME=VALUE with commas between",
		"type=registry,,ref=r.test/x:cache": `has "" where NAME=VALUE is due, each name once`,
	} {
		c := Caches{CacheFrom: line}
		err := c.check(true, runner)
		if err == nil || !strings.HasPrefix(err.Error(), "cache-from: ") || !strings.HasSuffix(err.Error(), want+accepted) {
			t.Errorf("%s: %v", line, err)
		}
	}
	c := Caches{CacheTo: "type=local,dest=x,mode=most"}
	if err := c.check(true, runner); err == nil || !strings.Contains(err.Error(), "has a mode that is neither min nor max") {
		t.Errorf("mode: %v", err)
	}
	c = Caches{CacheFrom: "type=registry,ref=x\ny\n", CacheTo: "z"}
	want := `cache-from: "type=registry,ref=x\ny" is of no use without external: the Rack builds, with a cache of its own; accepted: external: true beside it
cache-to: "z" is of no use without external: the Rack builds, with a cache of its own; accepted: external: true beside it`
	if err := c.check(false, runner); err == nil || err.Error() != want {
		t.Errorf("without external: %v", err)
	}
}

// keeper is an engine that may keep no caches in registries.
type keeper struct {
	Engine
	wrong error
}

func (k keeper) KeepsCache(context.Context, string) error { return k.wrong }

// cachedEstate is one whose rack may have a cache.
type cachedEstate struct {
	Estate
	cache bake.Cache
	wrong error
	asked *int
}

func (e cachedEstate) Cache(context.Context) (bake.Cache, error) { *e.asked++; return e.cache, e.wrong }

// TestCacheOfRack: that of the rack is used beside what was asked for, if something is
// built and it is within reach.
func TestCacheOfRack(t *testing.T) {
	built, pulled := &manifest.Manifest{Services: []manifest.Service{{Image: "a"}, {}}}, &manifest.Manifest{Services: []manifest.Service{{Image: "a"}}}
	has := bake.Cache{Repository: "r.test/rack-build-cache", Tags: []string{"a.1", "b.2"}}
	written := bake.Cache{Repository: has.Repository}
	const warning = "WARNING: building without the persistent cache of the Rack: "
	for name, c := range map[string]struct {
		manifest *manifest.Manifest
		cache    bake.Cache
		wrong    error // of the estate
		cannot   error // what the engine says
		noCache  bool
		want     bake.Cache
		said     string
		asked    int
	}{
		"within reach":           {manifest: built, cache: has, want: has, asked: 1},
		"no-cache":               {manifest: built, cache: has, noCache: true, want: written, asked: 1},
		"the rack has none":      {manifest: built, cannot: errors.New("cannot"), asked: 1},
		"nothing is built":       {manifest: pulled, cache: has},
		"denied":                 {manifest: built, cache: written, wrong: errors.New("access\ndenied"), said: warning + "access denied\n", asked: 1},
		"an engine that cannot":  {manifest: built, cache: has, cannot: errors.New("is not for this Docker"), said: warning + "a cache in a registry is not for this Docker\n", asked: 1},
		"neither of them can do": {manifest: built, cache: has, cannot: errors.New("cannot"), wrong: errors.New("denied"), said: warning + "denied\n", asked: 1},
	} {
		asked := 0
		w := &workshop{manifest: c.manifest, engine: keeper{wrong: c.cannot}, delivery: delivery{estate: cachedEstate{cache: c.cache, wrong: c.wrong, asked: &asked}}}
		w.in.CacheFrom, w.in.CacheTo = "r.test/from", "r.test/to"
		if c.noCache {
			w.in.NoCache = options.On
		}
		var said strings.Builder
		got := w.cache(t.Context(), &said)
		c.want.From, c.want.To = []image.CacheEntry{entry("registry", "ref", "r.test/from")}, []image.CacheEntry{entry("registry", "ref", "r.test/to")}
		if d := cmp.Diff(c.want, got); d != "" || said.String() != c.said || asked != c.asked {
			t.Errorf("%s: asked %d times, said %q, and the cache is (-want +got):\n%s", name, asked, said.String(), d)
		}
	}
	w := &workshop{manifest: built}
	if got := w.cache(t.Context(), io.Discard); got.Repository != "" {
		t.Errorf("without an estate: %+v", got)
	}
}

// FuzzReadCache: what is read has a type and no words but those that are known.
func FuzzReadCache(f *testing.F) {
	for _, line := range []string{"a/b:c", "type=gha", "type=local,src=x", `"type=registry",ref="x"`, "=,=", "\""} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		for _, place := range []string{"src", "dest"} {
			e, wrong := readCache(line, place)
			if wrong != "" {
				continue
			}
			if cacheWords[e.Type] == nil || e.Type == cacheRegistry && e.Attrs["ref"] == "" || e.Type == cacheLocal && e.Attrs[place] == "" || e.Attrs["token"] != "" {
				t.Errorf("%q: %v", line, e)
			}
		}
	})
}
