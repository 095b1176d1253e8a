package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// delivery is a rack that looks like a v3 one, and all that is asked of it and of its
// registry, which have one front.
type delivery struct {
	*testing.T
	rack *killable
	home string // of the clients: that of one machine
	tool string // program for images
	host string // of the front

	mu      sync.Mutex
	sent    map[string]int64              // bytes of layers by their digests, that were pushed
	writes  []string                      // requests that change something
	before  func(n int, r *http.Request)  // told of the nth of those, from 0; nil for nobody
	after   func(n int, r *http.Response) // likewise, when it was done
	uploads map[string]int64              // bytes by the paths of uploads that are not named yet
}

func newDelivery(t *testing.T) *delivery {
	t.Helper()
	data := t.TempDir()
	t.Cleanup(func() {
		if err := removeLeftovers(data); err != nil {
			t.Error(err)
		}
	})
	d := &delivery{T: t, rack: serveKillable(t, data), sent: map[string]int64{}, uploads: map[string]int64{}}
	d.move()
	if err := d.rack.ask("POST", "/apps", url.Values{"name": {"shop"}}, nil); err != nil {
		t.Fatal(err)
	}
	d.tool = filepath.Join(d.home, "tool")
	build(t, d.tool, "./testdata/tool")
	front := httptest.NewServer(d.front())
	t.Cleanup(func() { front.CloseClientConnections(); front.Close() })
	d.host = front.Listener.Addr().String()
	return d
}

// front hands requests to the rack or to its registry.
func (d *delivery) front() http.Handler {
	u, err := url.Parse(d.rack.url)
	if err != nil {
		d.Fatal(err)
	}
	toRack := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: u.Host})
	toRegistry := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: d.rack.registry})
	for _, p := range []*httputil.ReverseProxy{toRack, toRegistry} {
		p.ErrorLog = log.New(io.Discard, "", 0) // clients are killed, on purpose
		p.ModifyResponse = d.answer
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := d.note(r); n >= 0 {
			if before, _ := d.watchers(); before != nil {
				before(n, r)
			}
		}
		if strings.HasPrefix(r.URL.Path, "/v2/") {
			toRegistry.ServeHTTP(w, r)
			return
		}
		toRack.ServeHTTP(w, r)
	})
}

// watch has someone told of requests that change something; nil for nobody.
func (d *delivery) watch(before func(n int, r *http.Request), after func(n int, r *http.Response)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.before, d.after = before, after
}

func (d *delivery) watchers() (before func(n int, r *http.Request), after func(n int, r *http.Response)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.before, d.after
}

// count tells how many requests have changed something.
func (d *delivery) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.writes)
}

type ordinal struct{}

// note counts a request that changes something, and gives its number; -1 for others.
func (d *delivery) note(r *http.Request) int {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return -1
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n := len(d.writes)
	d.writes = append(d.writes, r.Method+" "+r.URL.Path)
	*r = *r.WithContext(context.WithValue(r.Context(), ordinal{}, n))
	switch digest := r.URL.Query().Get("digest"); {
	case !strings.Contains(r.URL.Path, "/blobs/uploads/"):
	case digest != "": // all of it has come
		d.sent[digest] = d.uploads[r.URL.Path]
	default:
		r.Body = &countedBody{ReadCloser: r.Body, count: func(size int64) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.uploads[r.URL.Path] += size
		}}
	}
	return n
}

// countedBody counts what is read of a body.
type countedBody struct {
	io.ReadCloser
	count func(int64)
}

func (c *countedBody) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.count(int64(n))
	return n, err
}

// answer changes what the rack says to what a v3 one would, with its registry behind
// the front.
func (d *delivery) answer(r *http.Response) error {
	n, write := r.Request.Context().Value(ordinal{}).(int)
	if strings.HasPrefix(r.Request.URL.Path, "/v2/") {
		if location := r.Header.Get("Location"); location != "" {
			r.Header.Set("Location", strings.Replace(location, d.rack.registry, d.host, 1))
		}
	} else if err := showV3(r); err != nil {
		return err
	} else if err := rewrite(r, func(answer map[string]any, _ *http.Request) {
		if named, ok := answer["repository"].(string); ok {
			answer["repository"] = strings.Replace(named, d.rack.registry, d.host, 1)
		}
	}); err != nil {
		return err
	}
	if _, after := d.watchers(); write && after != nil {
		after(n, r)
	}
	return nil
}

// client is a call of the binary on the front.
func (d *delivery) client(environ []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(d.Context(), "convox-ci", args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.home, "DOCKER_HOST=unix://" + filepath.Join(d.home, "no-docker.sock"),
		"RACK_URL=http://" + url.UserPassword("convox", key).String() + "@" + d.host, "CONVOX_APP=shop",
		"CONVOX_OUTPUT_FILE=" + filepath.Join(d.home, "out.json")}, environ...)
	return cmd
}

// do runs the binary, which must succeed, and gives what it said and its outputs.
func (d *delivery) do(environ []string, args ...string) (string, map[string]string) {
	d.Helper()
	out, err := d.client(environ, args...).CombinedOutput()
	if err != nil {
		d.Fatalf("%q: %v\n%s", args, err, out)
	}
	text, err := os.ReadFile(filepath.Join(d.home, "out.json"))
	outputs := map[string]string{}
	if err := errors.Join(err, json.Unmarshal(text, &outputs)); err != nil {
		d.Fatal(err)
	}
	return string(out), outputs
}

// move gives clients another home, without the layers of earlier builds.
func (d *delivery) move() {
	d.home = d.TempDir()
	d.Cleanup(func() {
		if err := removeLeftovers(d.home); err != nil {
			d.Error(err)
		}
	})
}

// source writes the source of an app of one service.
func (d *delivery) source(files map[string]string) string {
	d.Helper()
	dir := d.TempDir()
	if err := os.Link(d.tool, filepath.Join(dir, "tool")); err != nil {
		d.Fatal(err)
	}
	if files["convox.yml"] == "" {
		files["convox.yml"] = "services:\n  web:\n    build: .\n"
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			d.Fatal(err)
		}
	}
	return dir
}

// image opens the image of a build in the rack's registry, past the front.
func (d *delivery) image(build string) v1.Image {
	d.Helper()
	r, err := name.ParseReference(d.rack.registry + "/shop:web." + build)
	if err != nil {
		d.Fatal(err)
	}
	img, err := remote.Image(r, remote.WithAuth(&authn.Basic{Username: "convox", Password: key}))
	if err != nil {
		d.Fatal(err)
	}
	return img
}

// layers are the digests of the layers of an image, the lowest first.
func layers(t *testing.T, img v1.Image) (digests []string) {
	t.Helper()
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range m.Layers {
		digests = append(digests, l.Digest.String())
	}
	return digests
}

// pushed gives the bytes of blobs that were pushed since it was called last.
func (d *delivery) pushed() map[string]int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	sent := maps.Clone(d.sent)
	clear(d.sent)
	return sent
}

// TestOnlyChangedLayersAreSent: of a build with one file changed, made on another
// machine, the registry gets the layer of that file and none that it has.
func TestOnlyChangedLayersAreSent(t *testing.T) {
	d := newDelivery(t)
	files := map[string]string{"Dockerfile": "FROM scratch\nCOPY tool /tool\nCOPY word /word\nENTRYPOINT [\"/tool\"]\n", "word": "one"}
	dir := d.source(files)
	_, first := d.do(nil, "build", "--external", dir)
	one, sent := layers(t, d.image(first["build"])), d.pushed()
	for _, digest := range one {
		if sent[digest] == 0 {
			t.Errorf("layer %s was not sent: %v", digest, sent)
		}
	}
	t.Logf("first build: %d bytes in %d blobs", total(sent), len(sent))
	if err := os.WriteFile(filepath.Join(dir, "word"), []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	d.move() // to another machine, which has nothing of the first build
	_, second := d.do(nil, "build", "--external", dir)
	two, again := layers(t, d.image(second["build"])), d.pushed()
	t.Logf("second build, one file changed: %d bytes in %d blobs", total(again), len(again))
	if len(one) != 2 || len(two) != 2 || one[0] != two[0] || one[1] == two[1] {
		t.Fatalf("layers %v, then %v", one, two)
	}
	config, err := d.image(second["build"]).ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{two[1], config.String()}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(again)); !slices.Equal(got, want) {
		t.Errorf("sent %v, want the changed layer and the configuration %v", got, want)
	}
	_, third := d.do(nil, "build", "--external", dir)
	if again := d.pushed(); len(again) > 0 || !slices.Equal(layers(t, d.image(third["build"])), two) {
		t.Errorf("the same build sent %v", again)
	}
}

func total(sent map[string]int64) (n int64) {
	for _, bytes := range sent {
		n += bytes
	}
	return n
}
