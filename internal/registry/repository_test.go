package registry_test

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/convox-ci/convox-ci/internal/registry"
)

// stock is a registry with a repository that is made and removed.
type stock struct {
	*testing.T
	*registry.Repository
	storage   *registry.Storage
	dir, host string
	client    registry.Client
}

func newStock(t *testing.T) *stock {
	t.Helper()
	s := &stock{T: t, dir: t.TempDir()}
	s.storage = registry.Embedded(t.Context(), s.dir, "")
	r, err := s.storage.Repository("rack-build-cache")
	s.must(err)
	s.Repository = r
	h := httptest.NewServer(s.storage)
	t.Cleanup(h.Close)
	s.host = strings.TrimPrefix(h.URL, "http://")
	return s
}

func (s *stock) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *stock) cache(tag string) string { return s.host + "/rack-build-cache:" + tag }

// blobs counts what takes room.
func (s *stock) blobs() int {
	s.Helper()
	found, err := filepath.Glob(filepath.Join(s.dir, "docker/registry/v2/blobs/sha256/*/*/data"))
	s.must(err)
	return len(found)
}

func (s *stock) wantTags(want ...string) {
	s.Helper()
	tags, err := s.Tags(s.Context())
	if d := cmp.Diff(want, tags); err != nil || d != "" {
		s.Errorf("tags (-want +got), %v:\n%s", err, d)
	}
}

// age makes everything in the repository look as if it was pushed earlier.
func (s *stock) age(by time.Duration) {
	s.Helper()
	s.must(filepath.WalkDir(filepath.Join(s.dir, "docker/registry/v2/repositories/rack-build-cache"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return os.Chtimes(path, time.Time{}, info.ModTime().Add(-by))
	}))
}

// create makes the repository, and wants it to be there already or not.
func (s *stock) create(there bool) {
	s.Helper()
	if made, err := s.Create(s.Context()); err != nil || made == there {
		s.Fatalf("made: %v, %v", made, err)
	}
}

// with is an image with a further layer.
func with(t *testing.T, img v1.Image) v1.Image {
	t.Helper()
	layers, err := anImage(t).Layers()
	if err != nil {
		t.Fatal(err)
	}
	more, err := mutate.AppendLayers(img, layers[0])
	if err != nil {
		t.Fatal(err)
	}
	return more
}

func TestRepositoryFromCreateToDelete(t *testing.T) {
	s := newStock(t)
	img := anImage(t)
	refused := func(when string) {
		t.Helper()
		if _, err := s.client.Push(t.Context(), layoutOf(t, img), s.cache("a")); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("push %s: %v", when, err)
		}
		if status, _ := ask(t, "GET", "http://"+s.host+"/v2/rack-build-cache/tags/list", ""); status != 404 {
			t.Errorf("tags %s: %d", when, status)
		}
	}
	refused("at first")
	s.must(s.Delete(t.Context()))
	s.wantTags()
	s.create(false)
	if status, _ := ask(t, "GET", "http://"+s.host+"/v2/rack-build-cache/tags/list", ""); status != 200 {
		t.Errorf("tags of the new repository: %d", status)
	}
	mustPush(t, &s.client, img, s.cache("a"))
	s.create(true)
	s.age(time.Hour)
	mustPush(t, &s.client, with(t, img), s.cache("b"))
	s.wantTags("b", "a")

	app := mustPush(t, &s.client, img, s.host+"/app:1") // has the layers of a
	s.must(s.Delete(t.Context()))
	refused("after the end")
	s.wantTags()
	if got := pulled(t, &s.client, s.host+"/app:1"); got != app {
		t.Errorf("the image of an app is %s, was %s", got, app)
	}
	if n := s.blobs(); n != 4 { // manifest, config and two layers
		t.Errorf("%d blobs are left, want those of the app, 4", n)
	}
	s.create(false)
	s.wantTags()
	digest := mustPush(t, &s.client, img, s.cache("a"))
	if got := pulled(t, &s.client, s.cache("a")); got != digest {
		t.Errorf("pulled %s, pushed was %s", got, digest)
	}
}

func TestExpire(t *testing.T) {
	s := newStock(t)
	s.create(false)
	base := anImage(t)
	mustPush(t, &s.client, with(t, base), s.cache("moved"))
	mustPush(t, &s.client, with(t, base), s.cache("old"))
	s.age(3 * time.Hour)
	moved := mustPush(t, &s.client, with(t, base), s.cache("moved"))
	s.age(time.Hour)
	s.must(s.Expire(t.Context(), time.Now().Add(-5*time.Hour)))
	s.wantTags("moved", "old")
	before := s.blobs()
	s.must(s.Expire(t.Context(), time.Now().Add(-2*time.Hour)))
	s.wantTags("moved")
	if got := pulled(t, &s.client, s.cache("moved")); got != moved {
		t.Errorf("pulled %s, pushed was %s", got, moved)
	}
	// Of two images the manifest, the config and the layer of their own.
	if n := s.blobs(); n != before-6 {
		t.Errorf("%d of %d blobs are left, want 6 less", n, before)
	}
	s.must(s.Expire(t.Context(), time.Now()))
	s.wantTags()
	if n := s.blobs(); n != 0 {
		t.Errorf("%d blobs are left of an empty repository", n)
	}
	mustPush(t, &s.client, base, s.cache("again"))
}

// TestSweepWaits: while somebody pushes, what is not needed any more stays.
func TestSweepWaits(t *testing.T) {
	s := newStock(t)
	s.create(false)
	mustPush(t, &s.client, anImage(t), s.cache("a"))
	before := s.blobs()
	res, err := http.Post("http://"+s.host+"/v2/app/blobs/uploads/", "", nil)
	s.must(err)
	res.Body.Close()
	body, writer := io.Pipe()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, res.Header.Get("Location"), body)
	s.must(err)
	done := make(chan error, 1)
	go func() {
		res, err := http.DefaultClient.Do(q)
		if err == nil {
			res.Body.Close()
		}
		done <- err
	}()
	_, err = writer.Write([]byte(strings.Repeat("half of a layer", 1<<10))) // more than is held back before it is written down
	s.must(err)
	s.awaitUpload()
	s.must(s.Delete(t.Context()))
	s.wantTags()
	if n := s.blobs(); n != before {
		t.Errorf("%d of %d blobs are left while somebody pushes", n, before)
	}
	s.must(writer.Close())
	s.must(<-done)
	ask(t, "DELETE", "http://"+s.host+"/v2/app/blobs/"+"sha256:"+strings.Repeat("0", 64), "") // a later one finds nothing to wait for
	if n := s.blobs(); n != 0 {
		t.Errorf("%d blobs are left after the push", n)
	}
}

// awaitUpload waits until the registry has begun to write down what is uploaded.
func (s *stock) awaitUpload() {
	s.Helper()
	for s.Context().Err() == nil {
		found, err := filepath.Glob(filepath.Join(s.dir, "docker/registry/v2/repositories/app/_uploads/*/data"))
		s.must(err)
		for _, path := range found { // which is there, and empty, since the upload was begun
			if info, err := os.Stat(path); err == nil && info.Size() > 0 {
				return
			}
		}
	}
}

func TestRepositoryName(t *testing.T) {
	storage := registry.Embedded(t.Context(), t.TempDir(), "")
	for name, ok := range map[string]bool{"a": true, "a-b--c": true, "": false, "A": false, "..": false, "a/b": false, "-a": false, "a-": false} {
		if _, err := storage.Repository(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}
