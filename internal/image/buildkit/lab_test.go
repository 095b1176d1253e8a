package buildkit_test

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/sirupsen/logrus"

	"github.com/convox-ci/convox-ci/internal/enginetest"
	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/image/buildkit"
	"github.com/convox-ci/convox-ci/internal/image/buildkit/embedded"
)

// patience is how long a test waits for what should happen at once, on a busy machine.
const patience = time.Minute

// lab has the parts that all tests share, started by the first that needs them.
type lab struct {
	dir      string
	step     func() (string, error) // the program in the images
	embedded func() (*buildkit.Builder, error)
	daemon   func() (*embedded.Daemon, error)
	docker   func() (*buildkit.Docker, error)
	engine   func() (*enginetest.Engine, error)
	end      []func()
}

var shared *lab

func TestMain(m *testing.M) {
	logrus.SetOutput(io.Discard) // the embedded daemon's own log
	os.Exit(inLab(m.Run))
}

func inLab(run func() int) int {
	dir, err := os.MkdirTemp("", "buildkit")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	shared = &lab{dir: dir}
	shared.step = sync.OnceValues(shared.buildStep)
	shared.daemon = sync.OnceValues(shared.startEmbedded)
	shared.embedded = sync.OnceValues(shared.connectEmbedded)
	shared.engine = sync.OnceValues(shared.startEngine)
	shared.docker = sync.OnceValues(shared.connectDocker)
	defer func() {
		for i := range shared.end {
			shared.end[len(shared.end)-1-i]()
		}
	}()
	return run()
}

func (l *lab) buildStep() (string, error) {
	name := filepath.Join(l.dir, "step")
	cmd := exec.Command("go", "build", "-o", name, "./testdata/step")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return name, nil
}

func (l *lab) startEmbedded() (*embedded.Daemon, error) {
	d, err := embedded.Start(context.Background(), embedded.Options{Root: filepath.Join(l.dir, "embedded")})
	if err == nil {
		l.end = append(l.end, func() { d.Close() })
	}
	return d, err
}

func (l *lab) connectEmbedded() (*buildkit.Builder, error) {
	d, err := l.daemon()
	if err != nil {
		return nil, err
	}
	c, err := buildkit.Ready(context.Background(), embedded.Address, d.Dialer())
	if err != nil {
		return nil, err
	}
	b := buildkit.New(c)
	l.end = append(l.end, func() { b.Close() })
	return b, nil
}

func (l *lab) startEngine() (*enginetest.Engine, error) {
	e, err := enginetest.Start()
	if err == nil {
		l.end = append(l.end, func() { e.Close() })
	}
	return e, err
}

func (l *lab) connectDocker() (*buildkit.Docker, error) {
	e, err := l.engine()
	if err != nil {
		return nil, err
	}
	d, err := buildkit.DialDocker(context.Background(), e.Address, nil)
	if err == nil {
		l.end = append(l.end, func() { d.Close() })
	}
	return d, err
}

// onEach runs a test with every engine.
func onEach(t *testing.T, test func(t *testing.T, b image.Builder)) {
	t.Run("embedded", func(t *testing.T) { test(t, onEmbedded(t)) })
	t.Run("docker", func(t *testing.T) { test(t, onDocker(t)) })
}

func onEmbedded(t *testing.T) *buildkit.Builder {
	t.Helper()
	b, err := shared.embedded()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func onDocker(t *testing.T) *buildkit.Docker {
	t.Helper()
	b, err := shared.docker()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// source makes a directory of files, by their slash separated names, and of the
// program step. Its Dockerfile begins with a stage that has the program.
func source(t *testing.T, files map[string]string) string {
	t.Helper()
	step, err := shared.step()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Link(step, filepath.Join(dir, "step")); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if filepath.Base(name) == "Dockerfile" {
			text = "FROM scratch AS base\nCOPY step /step\n" + text
		}
		full := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// spec is the build of a directory with the Dockerfile in it.
func spec(t *testing.T, dir string) image.Spec {
	return image.Spec{
		Context:    dir,
		Dockerfile: filepath.Join(dir, "Dockerfile"),
		Layout:     filepath.Join(t.TempDir(), "scratch", "layout"), // whose parent is not there either
	}
}

// mustBuild builds, and opens the only image of the layout.
func mustBuild(t *testing.T, b image.Builder, s image.Spec) (v1.Image, string) {
	t.Helper()
	var log strings.Builder
	if err := b.Build(t.Context(), s, &log); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	index, err := layout.ImageIndexFromPath(s.Layout)
	if err != nil {
		t.Fatal(err)
	}
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Manifests) != 1 || !m.Manifests[0].MediaType.IsImage() {
		t.Fatalf("layout holds %v, not one image", m.Manifests)
	}
	img, err := index.Image(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return img, log.String()
}

// contents gives the text of an image's files, by name, without the program step.
func contents(t *testing.T, img v1.Image) map[string]string {
	t.Helper()
	files := map[string]string{}
	body := mutate.Extract(img)
	defer body.Close()
	for r := tar.NewReader(body); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg || filepath.Base(h.Name) == "step" {
			continue
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = string(text)
	}
}

func digest(t *testing.T, img v1.Image) string {
	t.Helper()
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}
