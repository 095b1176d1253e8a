package embedded_test

import (
	"archive/tar"
	"bytes"
	"io"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/convox-ci/convox-ci/internal/image/buildkit/embedded"
	"github.com/convox-ci/convox-ci/internal/registry"
)

// serve runs a registry and returns its host.
func serve(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(registry.Embedded(t.Context(), t.TempDir(), ""))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// push puts an image of one executable file into a registry.
func push(t *testing.T, ref, name string, program []byte, config v1.Config) {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(program))})
	w.Write(program)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{Architecture: runtime.GOARCH, OS: "linux", Config: config})
	if err == nil {
		img, err = mutate.AppendLayers(img, layer)
	}
	if err != nil {
		t.Fatal(err)
	}
	p, err := layout.Write(t.TempDir(), empty.Index)
	if err == nil {
		err = p.AppendImage(img)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := new(registry.Client).Push(t.Context(), string(p), ref); err != nil {
		t.Fatal(err)
	}
}

// TestBaseImages takes base images from registries by their own address, by one
// that they have another name for, and from a mirror of Docker Hub.
func TestBaseImages(t *testing.T) {
	host := serve(t)
	const alias = "127.0.0.1:1"
	b := start(t, embedded.Options{Root: t.TempDir(), Mirrors: map[string]string{alias: host, host: host, "docker.io": host}})
	program, err := step()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	for base, stored := range map[string]string{
		host + "/own/base:1":  "own/base:1",
		alias + "/app/base:2": "app/base:2",
		"stepper:3":           "library/stepper:3",
	} {
		push(t, host+"/"+stored, "step", data, v1.Config{})
		log, _ := b.mustBuild(t, "FROM "+base+"\nENV BASE="+base+"\nRUN [\"/step\", \"keep\", \"BASE\", \"/base\"]\n")
		if !strings.Contains(log, "BASE is "+base) {
			t.Errorf("log lacks the step:\n%s", log)
		}
	}
}

// TestMirrorStandsForItsHost: what the mirror lacks is not taken from the host.
func TestMirrorStandsForItsHost(t *testing.T) {
	mirror, host := serve(t), serve(t)
	push(t, host+"/app/base:1", "step", []byte("of another"), v1.Config{})
	b := start(t, embedded.Options{Root: t.TempDir(), Mirrors: map[string]string{host: mirror}})
	err := b.Build(t.Context(), spec(t, source(t, "FROM "+host+"/app/base:1\n")), io.Discard)
	if err == nil || !strings.Contains(err.Error(), host+"/app/base:1: not found") {
		t.Errorf("error is %v, want one that the image is not there", err)
	}
}

// TestSyntaxLine builds with a frontend that is itself an image of Docker Hub's.
func TestSyntaxLine(t *testing.T) {
	program, err := compile("frontend", "github.com/moby/buildkit/frontend/dockerfile/cmd/dockerfile-frontend")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	host := serve(t)
	push(t, host+"/docker/dockerfile:1", "frontend", data, v1.Config{Entrypoint: []string{"/frontend"}})
	b := start(t, embedded.Options{Root: t.TempDir(), Mirrors: map[string]string{"docker.io": host}})
	log, _ := b.mustBuild(t, "# syntax=docker/dockerfile:1\n"+random)
	if !strings.Contains(log, "docker-image://docker.io/docker/dockerfile:1") {
		t.Errorf("log lacks the frontend:\n%s", log)
	}
}
