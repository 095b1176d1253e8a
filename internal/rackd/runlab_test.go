package rackd_test

import (
	"archive/tar"
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/convox-ci/convox-ci/internal/container"
	"github.com/convox-ci/convox-ci/internal/enginetest"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
	registries "github.com/convox-ci/convox-ci/internal/registry"
)

// running makes a rack act on real containers, of images in a real registry.
func running(t *testing.T) func(*rackd.Config) {
	t.Helper()
	h := httptest.NewServer(registries.Embedded(t.Context(), t.TempDir(), ""))
	t.Cleanup(h.Close)
	dir := filepath.Join(t.TempDir(), "run")
	t.Cleanup(func() { // comes after the end of the rack
		for _, kind := range []string{"containers", "runc"} {
			left, err := os.ReadDir(filepath.Join(dir, kind))
			if len(left) > 0 {
				t.Errorf("the rack has left %v behind, %v", left, err)
			}
		}
		if err := container.Sweep(dir); err != nil {
			t.Error(err)
		}
	})
	return func(c *rackd.Config) {
		c.Registry = strings.TrimPrefix(h.URL, "http://")
		c.Containers = container.New(dir, (&registries.Client{}).Image)
	}
}

// runManifest declares what the tests of processes run.
const runManifest = "environment:\n  - GLOBAL=default\n  - SECRET\nservices:\n  one:\n    build: .\n    environment:\n      - OWN=default\n      - CHANGED=default\n  two:\n    build: .\n"

const runEnv = "SECRET=s3cret\nCHANGED=by the release\nHIDDEN=not declared"

// startRunning makes a rack whose app web has an active release with an image
// with a shell for both services.
func startRunning(t *testing.T) *machine {
	t.Helper()
	m := start(t, running(t))
	m.deploy("web", rack.Release{ID: "RAAAAAAAAAA", Build: "BAAAAAAAAAA", Env: runEnv, Manifest: runManifest})
	for _, service := range []string{"one", "two"} {
		m.pushShell("web:"+service+".BAAAAAAAAAA", v1.Config{Env: []string{"PATH=/bin", "KIND=image", "OWN=image"}, WorkingDir: "/work", User: "ann"})
	}
	return m
}

// deploy stores a release and its build, and makes it the active one.
func (m *machine) deploy(app string, r rack.Release) {
	m.Helper()
	r.App, r.Created = app, time.Now().UTC()
	b := rack.Build{ID: r.Build, App: app, Release: r.ID, Status: rack.BuildComplete, Manifest: r.Manifest, GitSHA: "0123abc", Description: "a build"}
	m.must(m.stores.Builds.SwapBuild(m.Context(), rack.Build{}, b))
	m.must(m.stores.Releases.AddRelease(m.Context(), r))
	old, err := m.stores.Apps.App(m.Context(), app)
	m.must(err)
	active := old
	active.Release = r.ID
	m.must(m.stores.Apps.SwapApp(m.Context(), old, active))
}

// shellLayer is the files of an image with a shell.
var shellLayer = sync.OnceValues(func() (v1.Layer, error) {
	program, err := enginetest.Busybox()
	if err != nil {
		return nil, err
	}
	f := files{
		"bin/busybox": string(program), "etc/passwd": "ann:x:1001:1002::/home/ann:/bin/sh\n", "tmp/": "",
		"bin/size": "#!/bin/sh\necho width=0 height=0 tty=false\n",
	}
	for _, name := range strings.Fields("sh cat echo env id kill pwd seq mkfifo stty test timeout tr sort") {
		f["bin/"+name] = "->/bin/busybox"
	}
	return layerOf(f)
})

// layerOf packs files: contents by name, or -> and where a link leads; a name
// with a slash at its end is a directory that everybody may write to.
func layerOf(f files) (v1.Layer, error) {
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	for _, file := range slices.Sorted(maps.Keys(f)) {
		h := tar.Header{Name: file, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(f[file]))}
		if target, ok := strings.CutPrefix(f[file], "->"); ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, target, 0
		} else if strings.HasSuffix(file, "/") {
			h.Typeflag, h.Mode = tar.TypeDir, 0o777
		}
		err := w.WriteHeader(&h)
		if err == nil && h.Typeflag == tar.TypeReg {
			_, err = io.WriteString(w, f[file])
		}
		if err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithCompressedCaching)
}

// push makes an image of a layer and pushes it to the rack's registry.
func (m *machine) push(ref string, c v1.Config, layer v1.Layer) {
	m.Helper()
	img, err := mutate.AppendLayers(empty.Image, layer)
	m.must(err)
	file, err := img.ConfigFile()
	m.must(err)
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Config = "linux", runtime.GOARCH, c
	img, err = mutate.ConfigFile(img, file)
	m.must(err)
	to, err := name.ParseReference(m.server.Registry + "/" + ref)
	m.must(err)
	m.must(remote.Write(to, img))
}

// pushShell pushes an image with a shell.
func (m *machine) pushShell(ref string, c v1.Config) {
	m.Helper()
	layer, err := shellLayer()
	m.must(err)
	m.push(ref, c, layer)
}

// begin starts a process of a service of web.
func (m *machine) begin(service, command string, more ...string) rack.Process {
	m.Helper()
	h := http.Header{"Command": {command}}
	for i := 0; i < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return decode[rack.Process](m, m.do("POST", "/apps/web/services/"+service+"/processes", h, nil))
}

func (m *machine) process(id string) rack.Process {
	m.Helper()
	return decode[rack.Process](m, m.get("/apps/web/processes/"+id))
}

// enter opens the stream of a command in a process, without a terminal.
func (m *machine) enter(id, command string, more ...string) *websocket.Conn {
	m.Helper()
	h := http.Header{"Command": {command}, "Tty": {"false"}}
	for i := 0; i < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return m.socket("/apps/web/processes/"+id+"/exec", h)
}

// exec runs a command in a process to its end, and gives the messages of the
// stream: output in one, then what else came.
func (m *machine) exec(id, command string, more ...string) []string {
	m.Helper()
	conn := m.enter(id, command, more...)
	m.must(conn.Write(m.Context(), websocket.MessageBinary, nil))
	return m.ending(conn)
}

// ending reads a stream of exec to its end: all output joined, then the message
// with the status, and what follows it.
func (m *machine) ending(conn *websocket.Conn) []string {
	m.Helper()
	messages := []string{""}
	for {
		kind, p, err := conn.Read(m.Context())
		if err != nil {
			m.Fatalf("stream broke off after %q: %v", messages, err)
		}
		switch {
		case kind == websocket.MessageBinary && len(p) == 0:
			return messages
		case len(messages) == 1 && !strings.HasPrefix(string(p), rack.ExitPrefix):
			messages[0] += string(p)
		default:
			messages = append(messages, string(p))
		}
	}
}
