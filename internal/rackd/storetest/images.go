package storetest

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/registry"
)

// Registry is the registry of a rack under test, and how images get there.
type Registry struct {
	Stock rackd.Stock
	Cache rackd.BuildCache
	// App and Cached are where the image of an app and one of the cache are.
	App    func(app, tag string) string
	Cached func(tag string) string
	Client *registry.Client
	// Pass makes it later. The registry does what it does by itself meanwhile.
	Pass func(time.Duration)
}

// Images checks the promises of [rackd.Stock] and [rackd.BuildCache]. fresh gives a
// registry without images.
func Images(t *testing.T, fresh func(t *testing.T) Registry) {
	for name, check := range map[string]func(*testing.T, Registry){
		"removed tags":         testRemovedTags,
		"tags of one image":    testSharedImage,
		"many tags":            testManyTags,
		"a cache has its time": testCacheLife,
		"the latest cache":     testLatestCache,
		"caches of some days":  testRetainedCache,
	} {
		t.Run(name, func(t *testing.T) { check(t, fresh(t)) })
	}
}

// stockOf is a registry with the digests that were pushed by where they went, and
// images by their names. They have one of their layers in common.
type stockOf struct {
	Registry
	t      *testing.T
	common v1.Layer
	images map[string]v1.Image
	pushed map[string]string
}

func stocked(t *testing.T, r Registry) *stockOf {
	t.Helper()
	common, err := random.Layer(1<<10, types.DockerLayer)
	must(t, err)
	return &stockOf{r, t, common, map[string]v1.Image{}, map[string]string{}}
}

// layout writes an image, which is made if it is new, to a directory.
func (s *stockOf) layout(name string) string {
	s.t.Helper()
	if s.images[name] == nil {
		own, err := random.Layer(1<<10, types.DockerLayer)
		must(s.t, err)
		s.images[name], err = mutate.AppendLayers(empty.Image, s.common, own)
		must(s.t, err)
	}
	p, err := layout.Write(filepath.Join(s.t.TempDir(), "layout"), empty.Index)
	must(s.t, err)
	must(s.t, p.AppendImage(s.images[name]))
	return string(p)
}

func (s *stockOf) push(name string, to ...string) {
	s.t.Helper()
	dir := s.layout(name)
	for _, ref := range to {
		digest, err := s.Client.Push(s.t.Context(), dir, ref)
		must(s.t, err)
		s.pushed[ref] = digest
	}
}

// pull gives the digest of an image of which all was read.
func (s *stockOf) pull(ref string) (string, error) {
	img, err := s.Client.Image(s.t.Context(), ref)
	if err != nil {
		return "", err
	}
	digest, err := img.Digest()
	if err == nil {
		err = validate.Image(img)
	}
	return digest.String(), err
}

// remove removes the tags of an app that match, and what belongs to none.
func (s *stockOf) remove(app string, matches func(tag string) bool) {
	s.t.Helper()
	must(s.t, s.Stock.RemoveTags(s.t.Context(), app, matches))
	must(s.t, s.Stock.Collect(s.t.Context()))
}

// wantGone fails unless those are all the images that are gone of what was pushed,
// and the others whole.
func (s *stockOf) wantGone(gone ...string) {
	s.t.Helper()
	for ref, digest := range s.pushed {
		got, err := s.pull(ref)
		if slices.Contains(gone, ref) {
			wantKind(s.t, "pull of "+ref, err, registry.ErrNotFound)
		} else if err != nil || got != digest {
			s.t.Errorf("%s is %q, pushed was %s: %v", ref, got, digest, err)
		}
	}
}

func (s *stockOf) wantTags(want ...string) {
	s.t.Helper()
	got, err := s.Cache.Tags(s.t.Context())
	must(s.t, err)
	if d := cmp.Diff(want, got); d != "" && len(want)+len(got) > 0 {
		s.t.Errorf("tags of the cache (-want +got):\n%s", d)
	}
}

func (s *stockOf) make(there bool) {
	s.t.Helper()
	made, err := s.Cache.Create(s.t.Context())
	must(s.t, err)
	if made == there {
		s.t.Errorf("a cache was made: %v; was there one: %v", made, there)
	}
}

func ofBuild(build string) func(tag string) bool {
	return func(tag string) bool { return strings.HasSuffix(tag, "."+build) }
}

func testRemovedTags(t *testing.T, r Registry) {
	s := stocked(t, r)
	s.remove("web", ofBuild("B1")) // which was never pushed to
	s.push("one", s.App("web", "main.B1"), s.App("shop", "main.B1"))
	s.push("two", s.App("web", "worker.B1"), s.App("web", "main.B2"))
	s.push("three", s.App("web", "B1.B3"))
	s.remove("web", ofBuild("B9"))
	s.wantGone()
	s.remove("web", ofBuild("B1"))
	s.wantGone(s.App("web", "main.B1"), s.App("web", "worker.B1"))
	s.remove("web", ofBuild("B1"))
	s.push("one", s.App("web", "main.B1"))
	s.wantGone(s.App("web", "worker.B1"))
}

func testSharedImage(t *testing.T, r Registry) {
	s := stocked(t, r)
	s.push("one", s.App("web", "main.B1"), s.App("web", "main.B2"), s.App("web", "worker.B2"))
	s.remove("web", ofBuild("B1"))
	s.wantGone(s.App("web", "main.B1"))
	s.remove("web", ofBuild("B2"))
	s.wantGone(s.App("web", "main.B1"), s.App("web", "main.B2"), s.App("web", "worker.B2"))
}

// testManyTags removes more than one call of an API does.
func testManyTags(t *testing.T, r Registry) {
	s := stocked(t, r)
	var gone []string
	for i := range 120 {
		gone = append(gone, s.App("web", fmt.Sprintf("s%d.B1", i)))
	}
	s.push("one", gone...)
	s.push("two", s.App("web", "main.B2"))
	s.remove("web", ofBuild("B1"))
	s.wantGone(gone...)
}

func testCacheLife(t *testing.T, r Registry) {
	s, ctx := stocked(t, r), t.Context()
	refused := func(when string) {
		t.Helper()
		_, err := s.Client.Push(ctx, s.layout("one"), s.Cached("main"))
		wantKind(t, "push "+when, err, registry.ErrNotFound)
	}
	refused("before there is a cache")
	must(t, s.Cache.Delete(ctx))
	s.make(false)
	s.wantTags()
	s.make(true)
	s.push("one", s.Cached("main"), s.App("web", "main.B1"))
	s.make(true)
	s.wantTags("main")
	must(t, s.Cache.Delete(ctx))
	s.wantGone(s.Cached("main"))
	refused("after it")
	must(t, s.Cache.Delete(ctx))
	s.make(false)
	s.wantTags()
	s.push("one", s.Cached("main"))
	s.wantGone()
}

func testLatestCache(t *testing.T, r Registry) {
	s := stocked(t, r)
	s.make(false)
	for _, tag := range []string{"b", "a", "c"} {
		s.push(tag, s.Cached(tag))
		s.Pass(time.Hour)
	}
	s.wantTags("c", "a", "b")
	s.push("another", s.Cached("a"))
	s.wantTags("a", "c", "b")
}

func testRetainedCache(t *testing.T, r Registry) {
	s := stocked(t, r)
	day := 24 * time.Hour
	retain := func(days int) { // as it is called: each day
		t.Helper()
		must(t, s.Cache.Retain(t.Context(), days))
		s.Pass(time.Minute)
	}
	s.make(false)
	s.push("one", s.Cached("old"), s.App("web", "main.B1"))
	s.push("two", s.Cached("moved"))
	s.Pass(day)
	s.push("three", s.Cached("moved"))
	s.Pass(day)
	s.push("four", s.Cached("new"))
	retain(0)
	retain(3)
	s.wantTags("new", "moved", "old")
	retain(2)
	s.wantTags("new", "moved")
	s.wantGone(s.Cached("old"))
	retain(0)
	s.Pass(day)
	s.wantTags("new", "moved")
	retain(1)
	s.wantTags()
	s.push("one", s.Cached("old"))
	s.wantTags("old")
}
