package registry_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/convox-ci/convox-ci/internal/registry"
)

func TestPushAndPull(t *testing.T) {
	r := serve(t, t.TempDir(), "")
	c := &registry.Client{}
	img := anImage(t)
	want := digestOf(t, img)
	if got := mustPush(t, c, img, r.host+"/app:web.b1"); got != want {
		t.Errorf("push says %s, the image is %s", got, want)
	}
	if got := pulled(t, c, r.host+"/app:web.b1"); got != want {
		t.Errorf("pulled %s, want %s", got, want)
	}
	if got := pulled(t, c, r.host+"/app@"+want); got != want {
		t.Errorf("pulled by digest %s, want %s", got, want)
	}
}

func TestKnownLayersAreNotSentAgain(t *testing.T) {
	r := serve(t, t.TempDir(), "")
	c := &registry.Client{}
	img := anImage(t)
	mustPush(t, c, img, r.host+"/app:web.b1")
	if n := r.sent(); n != 3 { // two layers and the configuration
		t.Errorf("first push sent %d blobs, want 3", n)
	}
	mustPush(t, c, img, r.host+"/app:web.b2")
	if n := r.sent(); n != 0 {
		t.Errorf("push of the same image sent %d blobs, want none", n)
	}
	layers, err := anImage(t).Layers()
	if err != nil {
		t.Fatal(err)
	}
	more, err := mutate.AppendLayers(img, layers[0])
	if err != nil {
		t.Fatal(err)
	}
	mustPush(t, c, more, r.host+"/app:web.b3")
	if n := r.sent(); n != 2 { // a layer and the configuration
		t.Errorf("push of an image with one more layer sent %d blobs, want 2", n)
	}
}

// TestPullOfManyPlatforms takes the image of this machine, wherever in the index it is.
func TestPullOfManyPlatforms(t *testing.T) {
	r := serve(t, t.TempDir(), "")
	mine := anImage(t)
	add := func(img v1.Image, os, architecture string) mutate.IndexAddendum {
		return mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: os, Architecture: architecture}}}
	}
	config, err := mine.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	index := mutate.AppendManifests(empty.Index,
		add(imageFor(t, "s390x", 1), "linux", "s390x"), add(imageFor(t, config.Architecture, 1), "windows", config.Architecture),
		add(mine, "linux", config.Architecture))
	ref, err := name.ParseReference(r.host + "/many:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, index); err != nil {
		t.Fatal(err)
	}
	if got, want := pulled(t, &registry.Client{}, r.host+"/many:1"), digestOf(t, mine); got != want {
		t.Errorf("pulled %s, want %s", got, want)
	}
	foreign := mutate.AppendManifests(empty.Index, add(imageFor(t, "s390x", 1), "linux", "s390x"))
	if err := remote.WriteIndex(ref, foreign); err != nil {
		t.Fatal(err)
	}
	if err := new(registry.Client).Pull(t.Context(), r.host+"/many:1", t.TempDir()); err == nil || !strings.Contains(err.Error(), "linux/"+config.Architecture) {
		t.Errorf("error is %v, want one that names the platform", err)
	}
}

func TestAliases(t *testing.T) {
	r := serve(t, t.TempDir(), "")
	c := &registry.Client{Aliases: map[string]string{
		registry.DefaultAddress: r.host, r.host: r.host, "index.docker.io": r.host,
	}}
	img := anImage(t)
	want := mustPush(t, c, img, registry.DefaultAddress+"/app:web.b1")
	mustPush(t, c, img, "nginx:1")
	for _, ref := range []string{
		r.host + "/app:web.b1", registry.DefaultAddress + "/app:web.b1", registry.DefaultAddress + "/app@" + want,
		registry.DefaultAddress + "/app:ignored@" + want, "nginx:1", "library/nginx:1", "docker.io/nginx:1", "docker.io/library/nginx@" + want,
		r.host + "/library/nginx:1",
	} {
		if got := pulled(t, c, ref); got != want {
			t.Errorf("%s: pulled %s, want %s", ref, got, want)
		}
	}
}

func TestPullFaults(t *testing.T) {
	r := serve(t, t.TempDir(), "")
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		w.Write([]byte(strings.Repeat("<p>sorry</p>", 1000)))
	}))
	defer page.Close()
	denies := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	defer denies.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()
	for ref, want := range map[string]struct {
		text string
		kind error
	}{
		r.host + "/app:none": {"app/manifests/none", registry.ErrNotFound},
		r.host + "/none@sha256:" + strings.Repeat("0", 64): {"none/manifests/sha256:0", registry.ErrNotFound},
		closed + "/app:1": {closed + " does not answer: dial tcp " + closed + ": connect: connection refused", nil},
		"Not An Image":    {`"Not An Image" is not the reference of an image`, nil},
		strings.TrimPrefix(page.URL, "http://") + "/app:1":   {"418", nil},
		strings.TrimPrefix(denies.URL, "http://") + "/app:1": {"403", registry.ErrDenied},
	} {
		dir := filepath.Join(t.TempDir(), "layout")
		err := new(registry.Client).Pull(t.Context(), ref, dir)
		if err == nil || !strings.Contains(err.Error(), want.text) || want.kind != nil && !errors.Is(err, want.kind) {
			t.Errorf("%s: error %v, want one with %q, kind %v", ref, err, want.text, want.kind)
			continue
		}
		if n := len(err.Error()); n > 2<<10 {
			t.Errorf("%s: error has %d bytes", ref, n)
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: something is in the layout: %v", ref, err)
		}
	}
}

// TestNoSignedAddressInErrors: registries hand out blobs by addresses that are
// as good as a password.
func TestNoSignedAddressInErrors(t *testing.T) {
	dir := t.TempDir()
	r := serve(t, dir, "")
	digest := mustPush(t, &registry.Client{}, anImage(t), r.host+"/app:1")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	store := l.Addr().String()
	l.Close()
	handler := registry.Embedded(t.Context(), dir, "")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if strings.Contains(q.URL.Path, "/blobs/") {
			http.Redirect(w, q, "http://"+store+"/blob?signature=s3cret", http.StatusTemporaryRedirect)
			return
		}
		handler.ServeHTTP(w, q)
	}))
	defer s.Close()
	err = new(registry.Client).Pull(t.Context(), strings.TrimPrefix(s.URL, "http://")+"/app@"+digest, t.TempDir())
	if err == nil || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), store) {
		t.Errorf("error is %v, want one that names %s and not the signature", err, store)
	}
}

func TestPushFaults(t *testing.T) {
	c := &registry.Client{}
	for want, dir := range map[string]string{
		"holds 0 images": layoutOf(t),
		"holds 2 images": layoutOf(t, anImage(t), anImage(t)),
		"no such file":   t.TempDir(),
	} {
		if digest, err := c.Push(t.Context(), dir, "127.0.0.1:1/app:1"); err == nil || !strings.Contains(err.Error(), want) || digest != "" {
			t.Errorf("push gives %q, %v, want an error with %q", digest, err, want)
		}
	}
	if _, err := c.Push(t.Context(), layoutOf(t, anImage(t)), "a b"); err == nil {
		t.Error("a wrong reference is taken")
	}
}

func TestCancel(t *testing.T) {
	enough := errors.New("had enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		cancel(enough)
		<-q.Context().Done()
	}))
	defer s.Close()
	host := strings.TrimPrefix(s.URL, "http://")
	if err := new(registry.Client).Pull(ctx, host+"/app:1", t.TempDir()); !errors.Is(err, enough) {
		t.Errorf("pull: error is %v, want the cause", err)
	}
	if _, err := new(registry.Client).Push(ctx, layoutOf(t, anImage(t)), host+"/app:1"); !errors.Is(err, enough) {
		t.Errorf("push: error is %v, want the cause", err)
	}
}
