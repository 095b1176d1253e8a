package registry_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/sirupsen/logrus"

	"github.com/convox-ci/convox-ci/internal/registry"
)

func TestMain(m *testing.M) {
	logrus.SetOutput(io.Discard) // the registry's own log
	os.Exit(m.Run())
}

// spied is an embedded registry that remembers what it was asked.
type spied struct {
	host string

	mu    sync.Mutex
	asked []string // METHOD /path
}

func serve(t *testing.T, dir, password string) *spied {
	t.Helper()
	handler := registry.Embedded(t.Context(), dir, password)
	r := &spied{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		r.asked = append(r.asked, q.Method+" "+q.URL.Path)
		r.mu.Unlock()
		handler.ServeHTTP(w, q)
	}))
	t.Cleanup(s.Close)
	r.host = strings.TrimPrefix(s.URL, "http://")
	return r
}

// sent counts the uploads of blobs that were begun since the last call.
func (s *spied) sent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, q := range s.asked {
		if strings.HasPrefix(q, "POST ") && strings.HasSuffix(q, "/blobs/uploads/") {
			n++
		}
	}
	s.asked = nil
	return n
}

// knows is a keychain of one password for every registry.
type knows string

func (k knows) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: "anyone", Password: string(k)}, nil
}

// imageFor makes an image with layers of random bytes for an architecture.
func imageFor(t *testing.T, architecture string, layers int64) v1.Image {
	t.Helper()
	img, err := random.Image(1<<10, layers)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", architecture
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	return mutate.ConfigMediaType(mutate.MediaType(img, types.OCIManifestSchema1), types.OCIConfigJSON)
}

func anImage(t *testing.T) v1.Image { return imageFor(t, runtime.GOARCH, 2) }

// layoutOf writes images to a layout.
func layoutOf(t *testing.T, images ...v1.Image) string {
	t.Helper()
	p, err := layout.Write(filepath.Join(t.TempDir(), "layout"), empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	for _, img := range images {
		if err := p.AppendImage(img); err != nil {
			t.Fatal(err)
		}
	}
	return string(p)
}

func digestOf(t *testing.T, img v1.Image) string {
	t.Helper()
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

// pulled pulls, and gives the digest of the only image of the layout.
func pulled(t *testing.T, c *registry.Client, ref string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "new", "layout")
	if err := c.Pull(t.Context(), ref, dir); err != nil {
		t.Fatal(err)
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Manifests) != 1 {
		t.Fatalf("layout holds %d images, want one", len(m.Manifests))
	}
	img, err := index.Image(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		r, err := l.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Error(err)
		}
		r.Close()
	}
	return m.Manifests[0].Digest.String()
}

func mustPush(t *testing.T, c *registry.Client, img v1.Image, ref string) string {
	t.Helper()
	digest, err := c.Push(context.Background(), layoutOf(t, img), ref)
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

// remoteImage is an image as the registry has it.
func remoteImage(t *testing.T, ref string) v1.Image {
	t.Helper()
	r, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(r)
	if err != nil {
		t.Fatal(err)
	}
	return img
}
