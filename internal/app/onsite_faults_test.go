//go:build unix && !carrier

package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/commit"
	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/image/entry"
	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

const (
	registryHost   = "registry.test"
	registrySecret = "pale-orchid/42"
)

// leg is a request of the delivery of a build, by its method and what its path, to
// a star, and its form have in them.
type leg struct{ method, path, form string }

// The legs, in the order in which they come.
var legs = []leg{
	{"GET", "/apps/web", ""},
	{"GET", "/system", ""},
	{"GET", "/apps/web/builds", ""},
	{"POST", "/apps/web/builds", ""},
	{"PUT", "/apps/web/builds/B*", "manifest="},
	{"GET", "/v2/", ""},
	{"HEAD", "/v2/fake/web/blobs/*", ""},
	{"POST", "/v2/fake/web/blobs/uploads/", ""},
	{"PATCH", "/v2/fake/web/blobs/uploads/*", ""},
	{"PUT", "/v2/fake/web/blobs/uploads/*", ""},
	{"PUT", "/v2/fake/web/manifests/*", ""},
	{"PUT", "/apps/web/builds/B*", "entrypoint="},
	{"POST", "/apps/web/objects/*", ""},
	{"PUT", "/apps/web/builds/B*", "logs="},
	{"POST", "/apps/web/releases", ""},
	{"PUT", "/apps/web/builds/B*", "status=complete"},
	{"POST", "/events", ""},
}

// is tells whether a request is this leg.
func (l leg) is(r *http.Request) bool {
	prefix, more := strings.CutSuffix(l.path, "*")
	return r.Method == l.method && strings.HasPrefix(r.URL.Path, prefix) && (more || r.URL.Path == prefix) && strings.Contains(formOf(r), l.form)
}

func (l leg) String() string { return strings.TrimSpace(l.method + " " + l.path + " " + l.form) }

// formOf reads the form of a request and leaves it as it was.
func formOf(r *http.Request) string {
	if r.Body == nil || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		return ""
	}
	text, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(text))
	return string(text)
}

// trouble is what comes of a leg, each time.
type trouble string

// The troubles that are no status.
const (
	gone trouble = "gone"   // from then on nobody is at the address
	mute trouble = "silent" // there is no answer
)

// deliveryFaults is what comes of each trouble at each leg: the exit status, and
// what became of the build. It is complete (c), it has failed (f), there is none (-),
// or it is left to the last stage of the step, since the rack does not take what is
// to be recorded (n).
var deliveryFaults = []struct {
	trouble trouble
	comes   string
}{
	// app system builds create manifest | ping head upload patch put image | entrypoint log logs release complete event
	{"", "0c 0c 0c 0c 0c 0c 0c 0c 0c 0c 0c 0c 0c 0c 0c 0c 0c"},
	{gone, "5- 5- 5- 5- 5n 5f 5f 5f 5f 5f 5f 5n 5n 5n 5n 5n 0c"},
	{mute, "5- 5- 5- 4- 4f 4f 4f 4f 4f 4f 4f 4f 5f 4n 4f 4n 0c"},
	{"401", "3- 3- 3- 3- 3f 0c 3f 3f 3f 3f 3f 3f 3f 3n 3f 3n 0c"}, // a registry begins with one
	{"403", "1- 1- 1- 1- 1f 1f 1f 1f 1f 1f 1f 1f 1f 1n 1f 1n 0c"},
	{"404", "2- 2- 2- 2- 2f 1f 0c 1f 1f 1f 1f 2f 2f 2n 2f 2n 0c"}, // a layer that is not there is sent
	{"413", "1- 1- 1- 1- 1f 1f 1f 1f 1f 1f 1f 1f 1f 1n 1f 1n 0c"},
	{"500", "1- 1- 1- 1- 1f 1f 1f 1f 1f 1f 1f 1f 1f 1n 1f 1n 0c"},
	{"503", "5- 5- 5- 5- 5f 5f 5f 5f 5f 5f 5f 5f 5f 5n 5f 5n 0c"},
}

// TestDeliveryFaults lets each trouble meet each request of a delivery, as often as it
// is made. There is one error, of one line, with the exit status of its kind, and the
// build is on the rack as it was told.
func TestDeliveryFaults(t *testing.T) {
	for _, row := range deliveryFaults {
		for i, want := range strings.Fields(row.comes) {
			t.Run(fmt.Sprintf("%s/%s", row.trouble, legs[i]), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					if got := deliverTo(t, row.trouble, legs[i]); got != want {
						t.Errorf("got %s, want %s", got, want)
					}
				})
			})
		}
	}
}

// deliverTo makes a build with a trouble on its way.
func deliverTo(t *testing.T, kind trouble, l leg) string {
	w := &road{lab: newLab(t, false), kind: kind, leg: l}
	w.registry = registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	printed := &said{}
	console := ci.Open(ci.Run{}, nil, printed)
	job := workflow.Job{
		Rack: rack.New(endpoint(t), w, nil), Log: console, Outputs: console,
		Commit: func(context.Context, string) commit.Commit { return commit.Commit{SHA: "0123abcd"} },
		Engine: func(context.Context) (workflow.Engine, error) {
			return hand{onsite{Wrapper: &entry.Wrapper{Programs: convoxEnv}, keys: authn.DefaultKeychain, way: w}}, nil
		},
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"convox.yml": text, "Dockerfile": "FROM scratch\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var in workflow.BuildInputs
	in.App, in.Context, in.Manifest, in.Timeout, in.External.External = "web", options.Path(dir), "convox.yml", time.Hour, true
	_, err := workflow.Build(t.Context(), job, in)
	if kind != "" && !w.met.Load() {
		t.Error("nothing met the trouble")
	}
	exit := (&process{run: ci.Run{System: ci.Plain}, console: console}).report(err)
	if err != nil && (len(parts(err)) != 1 || strings.Contains(err.Error(), "\n")) {
		t.Errorf("there are several errors: %v", err)
	}
	if strings.Contains(printed.String(), registrySecret) || err != nil && strings.Contains(err.Error(), registrySecret) {
		t.Errorf("the password is shown: %v\n%s", err, printed)
	}
	builds, err2 := w.lab.store.ListBuilds(context.Background(), "web", 0)
	releases, err3 := w.lab.store.ListReleases(context.Background(), "web", 0)
	if err := errors.Join(err2, err3); err != nil || len(builds) > 1 {
		t.Errorf("builds %v, %v", builds, err)
	}
	status := ""
	for _, b := range builds {
		status = b.Status
	}
	if (status == rack.BuildComplete) != (len(releases) == 1) && status != rack.BuildCreated {
		t.Errorf("%d releases of a build that is %s", len(releases), status)
	}
	if t.Failed() || testing.Verbose() {
		t.Logf("%v\n%s", err, printed)
	}
	became := map[string]string{"": "-", rack.BuildComplete: "c", rack.BuildFailed: "f", rack.BuildCreated: "n"}
	return fmt.Sprint(exit) + became[status]
}

// hand is an engine that makes images by hand.
type hand struct{ onsite }

// Build implements [image.Builder].
func (hand) Build(_ context.Context, s image.Spec, _ io.Writer) error {
	return writeImage(s.Layout, "layer")
}

// writeImage writes an image that is made by hand to a new layout.
func writeImage(dir string, layers ...string) error {
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	var err error
	for _, text := range layers {
		if img, err = mutate.AppendLayers(img, static.NewLayer([]byte(text), types.OCILayer)); err != nil {
			return err
		}
	}
	if img, err = mutate.Config(img, v1.Config{Entrypoint: []string{"/app"}}); err != nil {
		return err
	}
	p, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	return p.AppendImage(img)
}

// road is the way to a rack like a v3 one, and to its registry, with a trouble on it.
type road struct {
	lab      *lab
	registry http.Handler
	kind     trouble
	leg      leg
	met      atomic.Bool
	calm     http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (w *road) RoundTrip(r *http.Request) (*http.Response, error) {
	meets := w.leg.is(r)
	if meets && w.kind != "" {
		w.met.Store(true)
	}
	toRegistry := r.URL.Host == registryHost
	if w.kind == gone && w.met.Load() && toRegistry == strings.HasPrefix(w.leg.path, "/v2/") {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	if meets && w.kind != "" && w.kind != gone {
		if r.Body != nil {
			r.Body.Close()
		}
		if w.kind == mute {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		status := 0
		fmt.Sscan(string(w.kind), &status)
		res := reply(status, map[bool]string{true: "", false: page}[status == 404])()
		res.Request = r
		return res, nil
	}
	if toRegistry {
		return w.toRegistry(r)
	}
	return w.toRack(r)
}

// toRegistry asks the registry, which wants a password.
func (w *road) toRegistry(r *http.Request) (*http.Response, error) {
	answer := httptest.NewRecorder()
	asked := r.Clone(r.Context())
	asked.RequestURI = r.URL.RequestURI()
	if asked.Body == nil {
		asked.Body = http.NoBody
	}
	if _, password, _ := r.BasicAuth(); password != registrySecret {
		answer.Header().Set("WWW-Authenticate", `Basic realm="rack"`)
		answer.WriteHeader(http.StatusUnauthorized)
	} else {
		w.registry.ServeHTTP(answer, asked)
	}
	res := answer.Result()
	res.Request = r
	return res, nil
}

// toRack asks the rack, and makes of its answers those of a v3 rack.
func (w *road) toRack(r *http.Request) (*http.Response, error) {
	if w.calm == nil {
		w.calm = w.lab.transport(nil)
	}
	res, err := w.calm.RoundTrip(r)
	if err != nil || res.StatusCode != http.StatusOK || !strings.HasPrefix(r.URL.Path, "/apps/web") {
		return res, err
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	var said map[string]any
	if json.Unmarshal(body, &said) == nil {
		if said["generation"] != nil {
			said["generation"] = "3"
		}
		delete(said, "repository")
		if r.Method == http.MethodPost && r.URL.Path == "/apps/web/builds" {
			said["repository"] = "https://convox:" + registrySecret + "@" + registryHost + "/fake/web"
		}
		body, _ = json.Marshal(said)
	}
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return res, err
}
