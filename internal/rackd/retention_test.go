package rackd_test

import (
	"context"
	"errors"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
	registries "github.com/convox-ci/convox-ci/internal/registry"
)

// keeping is a rack with builds that have everything that builds have.
type keeping struct {
	*machine
	images string // directory of the registry
	host   string // of it, while it is served
}

func startKeeping(t *testing.T) *keeping {
	k := &keeping{machine: start(t), images: t.TempDir()}
	s := httptest.NewServer(registries.Embedded(t.Context(), k.images, ""))
	t.Cleanup(s.Close)
	k.host = strings.TrimPrefix(s.URL, "http://")
	return k
}

// add makes a build, its release, its log and its image.
func (k *keeping) add(id string, at int, image v1.Image) {
	k.Helper()
	ctx, when := k.Context(), time.Date(2026, 1, 2, 3, 4, at, 0, time.UTC)
	b := rack.Build{ID: "B" + id, App: "web", Status: rack.BuildComplete, Release: "R" + id, Started: when, Logs: "object://web/build/B" + id + "/logs"}
	k.must(k.stores.Builds.SwapBuild(ctx, rack.Build{}, b))
	k.must(k.stores.Releases.AddRelease(ctx, rack.Release{ID: "R" + id, App: "web", Build: b.ID, Created: when, Manifest: "services: {}"}))
	k.must(k.stores.Objects.PutObject(ctx, "web", "build/"+b.ID+"/logs", strings.NewReader("log of "+id)))
	dir := k.TempDir()
	p, err := layout.Write(dir, empty.Index)
	k.must(err)
	k.must(p.AppendImage(image))
	_, err = (&registries.Client{}).Push(ctx, dir, k.host+"/web:one."+b.ID)
	k.must(err)
}

func (k *keeping) image() v1.Image {
	k.Helper()
	i, err := random.Image(1<<10, 1)
	k.must(err)
	return i
}

// retention keeps n builds. The registry is one that has just been started, to
// which nobody has pushed.
func (k *keeping) retention(n int) rackd.Retention {
	return rackd.Retention{Builds: n, Images: registries.Embedded(k.Context(), k.images, "")}
}

// has lists what there is of which build: its record, release, log and image.
func (k *keeping) has(ids string) (found []string) {
	k.Helper()
	ctx := k.Context()
	for id := range strings.FieldsSeq(ids) {
		_, build := k.stores.Builds.Build(ctx, "web", "B"+id)
		_, release := k.stores.Releases.Release(ctx, "web", "R"+id)
		log, noLog := k.stores.Objects.OpenObject(ctx, "web", "build/B"+id+"/logs")
		if noLog == nil {
			log.Close()
		}
		noImage := (&registries.Client{}).Pull(ctx, k.host+"/web:one.B"+id, k.TempDir())
		what := id
		for i, err := range []error{build, release, noLog, noImage} {
			switch {
			case err == nil:
				what += string("brli"[i])
			case !errors.Is(err, rack.ErrNotFound) && !errors.Is(err, registries.ErrNotFound):
				k.Errorf("%s: %v", id, err)
			}
		}
		found = append(found, what)
	}
	return found
}

// blobs counts what the registry has on the disk.
func (k *keeping) blobs() (n int) {
	k.must(filepath.WalkDir(filepath.Join(k.images, "docker", "registry", "v2", "blobs"), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "data" {
			n++
		}
		return err
	}))
	return n
}

func (k *keeping) activate(release string) {
	k.Helper()
	stored, err := k.stores.Apps.App(k.Context(), "web")
	k.must(err)
	next := stored
	next.Release = release
	k.must(k.stores.Apps.SwapApp(k.Context(), stored, next))
}

func TestRetention(t *testing.T) {
	k := startKeeping(t)
	shared := k.image()
	k.add("ACTIVE", 1, shared)
	k.add("SHARED", 2, shared)
	k.add("OLD", 3, k.image())
	k.add("NEW", 4, k.image())
	k.add("NEWER", 5, k.image())
	k.add("LATEST", 0, k.image()) // an old build, of which the latest release is
	k.must(k.stores.Releases.AddRelease(t.Context(), rack.Release{ID: "RNEXT", App: "web", Build: "BLATEST", Created: time.Now().UTC()}))
	running := rack.Build{ID: "BRUNNING", App: "web", Status: rack.BuildRunning}
	k.must(k.stores.Builds.SwapBuild(t.Context(), rack.Build{}, running))
	k.activate("RACTIVE")
	before := k.blobs()

	k.must(k.server.Prune(t.Context(), k.retention(2)))
	want := []string{"ACTIVEbrli", "SHARED", "OLD", "NEWbrli", "NEWERbrli", "LATESTbrli", "RUNNINGb"}
	if d := cmp.Diff(want, k.has("ACTIVE SHARED OLD NEW NEWER LATEST RUNNING")); d != "" {
		t.Errorf("kept (-want +got):\n%s", d)
	}
	if got := k.blobs(); got != before-3 { // the layer, the config and the manifest of one image
		t.Errorf("%d blobs of %d are left", got, before)
	}
	if _, err := k.stores.Releases.Release(t.Context(), "web", "RNEXT"); err != nil {
		t.Errorf("the latest release: %v", err)
	}
	k.must(k.server.Prune(t.Context(), k.retention(2)))
	if d := cmp.Diff(want, k.has("ACTIVE SHARED OLD NEW NEWER LATEST RUNNING")); d != "" {
		t.Errorf("kept the second time (-want +got):\n%s", d)
	}
}

// brokenStock is a registry whose disk fails.
type brokenStock struct{ rackd.Stock }

func (brokenStock) RemoveTags(context.Context, string, func(string) bool) error { return errDisk }

// What is cut off after the records are gone is gone on with later.
func TestRetentionIsCutOff(t *testing.T) {
	k := startKeeping(t)
	k.add("A", 1, k.image())
	k.add("B", 2, k.image())
	r := k.retention(1)
	broken := r
	broken.Images = brokenStock{r.Images}
	if err := k.server.Prune(t.Context(), broken); !errors.Is(err, errDisk) {
		t.Errorf("error is %v", err)
	}
	if got := k.has("A B"); !slices.Equal(got, []string{"Ali", "Bbrli"}) {
		t.Errorf("then there is %v", got)
	}
	next := k.killed()
	k.must(next.server.Prune(t.Context(), r))
	k.stores = next.stores
	if got := k.has("A B"); !slices.Equal(got, []string{"A", "Bbrli"}) {
		t.Errorf("in the end there is %v", got)
	}
	if dropped, err := next.stores.Trash.Dropped(t.Context()); err != nil || len(dropped) != 0 {
		t.Errorf("in the trash: %v, %v", dropped, err)
	}
}

// While somebody pushes nothing is freed: what is pushed next may count on it.
func TestNothingIsFreedWhileOthersPush(t *testing.T) {
	k := startKeeping(t)
	images := registries.Embedded(t.Context(), k.images, "")
	s := httptest.NewServer(images)
	defer s.Close()
	k.host = strings.TrimPrefix(s.URL, "http://")
	k.add("A", 1, k.image())
	k.add("B", 2, k.image())
	before := k.blobs()
	r := k.retention(1)
	r.Images = images
	k.must(k.server.Prune(t.Context(), r))
	if got := k.has("A B"); !slices.Equal(got, []string{"A", "Bbrli"}) || k.blobs() != before {
		t.Errorf("there is %v and %d of %d blobs", got, k.blobs(), before)
	}
}

func TestSourcesAreRemoved(t *testing.T) {
	k := startKeeping(t)
	for _, key := range []string{"tmp/old.tgz", "tmp/new.tgz", "other/old"} {
		k.must(k.stores.Objects.PutObject(t.Context(), "web", key, strings.NewReader("x")))
	}
	for _, name := range []string{"o-tmp%2Fold.tgz", "o-other%2Fold"} {
		past := time.Now().Add(-25 * time.Hour)
		k.must(os.Chtimes(filepath.Join(k.dir, "data", "objects", "web", name), past, past))
	}
	left := func() (keys []string) {
		for _, key := range []string{"tmp/old.tgz", "tmp/new.tgz", "other/old"} {
			if o, err := k.stores.Objects.OpenObject(t.Context(), "web", key); err == nil {
				o.Close()
				keys = append(keys, key)
			}
		}
		return keys
	}
	running := rack.Build{ID: "BRUNNING", App: "web", Status: rack.BuildRunning}
	k.must(k.stores.Builds.SwapBuild(t.Context(), rack.Build{}, running))
	k.must(k.server.Prune(t.Context(), k.retention(1)))
	if got := left(); len(got) != 3 {
		t.Errorf("while a build runs there is %v", got)
	}
	ended := running
	ended.Status = rack.BuildFailed
	k.must(k.stores.Builds.SwapBuild(t.Context(), running, ended))
	k.must(k.server.Prune(t.Context(), k.retention(1)))
	if d := cmp.Diff([]string{"tmp/new.tgz", "other/old"}, left()); d != "" {
		t.Errorf("left (-want +got):\n%s", d)
	}
}
