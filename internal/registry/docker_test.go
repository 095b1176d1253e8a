package registry_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/convox-ci/convox-ci/internal/enginetest"
	"github.com/convox-ci/convox-ci/internal/registry"
)

// docker starts an engine and gives a client of it. It is asked by HTTP as "docker
// load" and "docker save" ask it.
func docker(t *testing.T) *http.Client {
	t.Helper()
	c := enginetest.For(t).Client()
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// askDocker makes a request, which must succeed, and gives the answer.
func askDocker(t *testing.T, c *http.Client, method, target string, body []byte) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://docker"+target, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s, %v\n%s", method, target, res.Status, err, data[:min(len(data), 1<<10)])
	}
	return data
}

// TestDocker sends images the way that they go between racks: out of a registry,
// into Docker, out of it again, and into a registry.
func TestDocker(t *testing.T) {
	at := docker(t)
	from, to := serve(t, t.TempDir(), ""), serve(t, t.TempDir(), "")
	c := &registry.Client{}
	refs, configs := map[string]string{}, map[string]v1.Hash{}
	web := anImage(t)
	layers, err := anImage(t).Layers()
	if err != nil {
		t.Fatal(err)
	}
	worker, err := mutate.AppendLayers(web, layers[0]) // two are in both
	if err != nil {
		t.Fatal(err)
	}
	for service, img := range map[string]v1.Image{"web": web, "worker": worker} {
		ref, as := from.host+"/app:"+service+".B1", "convox/app:"+service+".B1"
		mustPush(t, c, img, ref)
		config, err := img.ConfigName()
		if err != nil {
			t.Fatal(err)
		}
		refs[as], configs[as] = ref, config
	}
	names := slices.Sorted(maps.Keys(refs))
	answer := askDocker(t, at, "POST", "/images/load?quiet=1", saved(t, c, refs))
	for _, n := range names {
		if !strings.Contains(string(answer), "Loaded image: "+n) {
			t.Errorf("docker load says %s", answer)
		}
	}
	archive := askDocker(t, at, "GET", "/images/get?"+url.Values{"names": names}.Encode(), nil)
	if got := load(t, c, archive, to.host+"/app"); !slices.Equal(got, names) {
		t.Fatalf("names are %q, want %q", got, names)
	}
	for _, n := range names {
		img := remoteImage(t, to.host+"/"+strings.TrimPrefix(n, "convox/"))
		if config, err := img.ConfigName(); err != nil || config != configs[n] { // which names the contents of the layers
			t.Errorf("%s: configuration is %s, was %s: %v", n, config, configs[n], err)
		}
	}
}

// TestLibraryArchive takes archives that a build tool writes without Docker, with
// layers that are compressed.
func TestLibraryArchive(t *testing.T) {
	r := serve(t, t.TempDir(), "")
	c := &registry.Client{}
	img := anImage(t)
	tag, err := name.NewTag("registry.invalid/app:web.B1")
	var b bytes.Buffer
	if err = errors.Join(err, tarball.Write(tag, img, &b)); err != nil {
		t.Fatal(err)
	}
	load(t, c, b.Bytes(), r.host+"/app")
	want, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := remoteImage(t, r.host+"/app:web.B1").ConfigName(); err != nil || got != want {
		t.Errorf("configuration is %s, want %s: %v", got, want, err)
	}
}
