package workflow

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/options"
)

// Caches are the inputs for the layer caches of builds that are made on this
// machine, in the words of docker/build-push-action.
type Caches struct {
	CacheFrom string `env:"cache-from" usage:"layer caches that an external build takes steps from, one a line: type=registry,ref=REFERENCE, type=local,src=DIRECTORY, type=gha, or the reference of one in a registry"`
	CacheTo   string `env:"cache-to" usage:"layer caches that an external build leaves its steps in, one a line: type=registry,ref=REFERENCE, type=local,dest=DIRECTORY, type=gha, or a reference; mode=max keeps all steps"`
}

// Types of caches.
const (
	cacheRegistry = "registry"
	cacheLocal    = "local"
	cacheActions  = "gha"
)

// cacheWords are the attributes of the types of caches that may be given. For a
// token there is no place: that of the job is taken.
var cacheWords = map[string][]string{
	cacheRegistry: {"ref", "mode", "image-manifest", "oci-mediatypes", "compression", "compression-level", "force-compression", "ignore-error"},
	cacheLocal:    {"src", "dest", "mode", "tag", "digest", "image-manifest", "oci-mediatypes", "compression", "compression-level", "force-compression", "ignore-error"},
	cacheActions:  {"scope", "mode", "timeout", "ignore-error"},
}

// cacheReference is what the reference of a cache in a registry looks like.
var cacheReference = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/-]*(?:@sha256:[0-9a-f]{64})?$`)

// check finds what is wrong with the inputs. external says that the build is made on
// this machine.
func (c Caches) check(external bool, lookup func(string) (string, bool)) error {
	from, wrongFrom := readCaches("cache-from", c.CacheFrom, "src")
	to, wrongTo := readCaches("cache-to", c.CacheTo, "dest")
	found := []error{wrongFrom, wrongTo}
	for _, in := range []struct {
		name, text string
		entries    []image.CacheEntry
	}{{"cache-from", c.CacheFrom, from}, {"cache-to", c.CacheTo, to}} {
		if strings.TrimSpace(in.text) != "" && !external {
			found = append(found, refuse(in.name, strings.TrimSpace(in.text), "is of no use without external: the Rack builds, with a cache of its own", "external: true beside it"))
		}
		if slices.ContainsFunc(in.entries, func(e image.CacheEntry) bool { return e.Type == cacheActions }) && !actionsCache(lookup) {
			found = append(found, refuse(in.name, "type=gha", "needs ACTIONS_RUNTIME_TOKEN and ACTIONS_RESULTS_URL, which a runner of GitHub Actions gives to actions and not to commands of run", "a step that uses an action"))
		}
	}
	return options.Join(found...)
}

// actionsCache tells whether a runner has said how the cache of GitHub Actions is
// asked. Older ones say ACTIONS_CACHE_URL.
func actionsCache(lookup func(string) (string, bool)) bool {
	given := func(name string) bool { v, _ := lookup(name); return v != "" }
	return given("ACTIONS_RUNTIME_TOKEN") && (given("ACTIONS_RESULTS_URL") || given("ACTIONS_CACHE_URL"))
}

// entries are the caches, once they were checked.
func (c Caches) entries() (from, to []image.CacheEntry) {
	from, _ = readCaches("cache-from", c.CacheFrom, "src")
	to, _ = readCaches("cache-to", c.CacheTo, "dest")
	return from, to
}

// readCaches reads the lines of an input.
func readCaches(input, text, place string) (list []image.CacheEntry, err error) {
	var found []error
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		entry, wrong := readCache(line, place)
		if wrong != "" {
			found = append(found, refuse(input, line, wrong, "type=registry,ref=REFERENCE", "type=local,"+place+"=DIRECTORY", "type=gha", "REFERENCE"))
			continue
		}
		list = append(list, entry)
	}
	return list, options.Join(found...)
}

// readCache reads a cache; place is the attribute with the directory of a local one.
// wrong says what is wrong with it, "" for nothing.
func readCache(line, place string) (e image.CacheEntry, wrong string) {
	if !strings.ContainsAny(line, "=,") {
		line = "type=" + cacheRegistry + ",ref=" + line
	}
	fields, err := csv.NewReader(strings.NewReader(line)).Read()
	if err != nil {
		return e, "is not a line of NAME=VALUE with commas between"
	}
	e.Attrs = map[string]string{}
	for _, field := range fields {
		name, value, ok := strings.Cut(field, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := e.Attrs[name]; !ok || name == "" || value == "" || twice {
			return e, fmt.Sprintf("has %q where NAME=VALUE is due, each name once", field)
		}
		e.Attrs[name] = value
	}
	e.Type = e.Attrs["type"]
	delete(e.Attrs, "type")
	words, known := cacheWords[e.Type]
	if !known {
		return e, "names no type of cache that is known here"
	}
	for name := range e.Attrs {
		if !slices.Contains(words, name) || name == "src" && place != "src" || name == "dest" && place != "dest" {
			return e, fmt.Sprintf("has %s, which is not for it", name)
		}
	}
	switch {
	case e.Type == cacheRegistry && !cacheReference.MatchString(e.Attrs["ref"]):
		return e, "lacks the reference of an image, ref"
	case e.Type == cacheLocal && e.Attrs[place] == "":
		return e, "lacks a directory, " + place
	case e.Attrs["mode"] != "" && (place == "src" || e.Attrs["mode"] != "min" && e.Attrs["mode"] != "max"):
		return e, "has a mode that is neither min nor max of a cache that is written"
	}
	if given := e.Attrs["timeout"]; given != "" {
		if long, err := time.ParseDuration(given); err != nil || long <= 0 {
			return e, "has a timeout that is no time, for example 5m"
		}
	}
	return e, ""
}

// useCaches refuses caches that the engine has no way to, before anything is begun.
func (w *workshop) useCaches(ctx context.Context) error {
	from, to := w.in.entries()
	for i, e := range append(slices.Clone(from), to...) {
		if err := w.engine.KeepsCache(ctx, e.Type); err != nil {
			input := "cache-from"
			if i >= len(from) {
				input = "cache-to"
			}
			return refuse(input, "type="+e.Type, err.Error(), "a BuildKit daemon at BUILDKIT_HOST, as docker/setup-buildx-action starts one, which has them all")
		}
	}
	return nil
}

// cache is what the build takes steps from and leaves them in: what was asked for,
// and the build cache of the rack where its estate is at hand. Without the cache that
// is written and not read, as on the rack. One that is out of reach is a line of the log.
func (w *workshop) cache(ctx context.Context, log io.Writer) (c bake.Cache) {
	if w.estate != nil && w.manifest.Builds() {
		var err error
		if c, err = w.estate.Cache(ctx); err == nil && c.Repository != "" {
			if wrong := w.engine.KeepsCache(ctx, cacheRegistry); wrong != nil {
				err = fmt.Errorf("a cache in a registry %w", wrong)
			}
		}
		switch {
		case err != nil:
			fmt.Fprintf(log, "WARNING: building without the persistent cache of the Rack: %s\n", oneLine(err))
			c = bake.Cache{}
		case w.in.NoCache.IsOn():
			c.Tags = nil
		}
	}
	c.From, c.To = w.in.entries()
	return c
}
