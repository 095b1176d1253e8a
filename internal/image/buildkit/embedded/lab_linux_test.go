package embedded_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/image/buildkit"
	"github.com/convox-ci/convox-ci/internal/image/buildkit/embedded"
)

// patience is how long a test waits for what should happen at once, on a busy machine.
const patience = time.Minute

// startHere makes this program, instead of the tests, start a daemon below the
// directory that it names and say what came of it.
const startHere = "EMBEDDED_TEST_START"

func TestMain(m *testing.M) {
	if root := os.Getenv(startHere); root != "" {
		d, err := embedded.Start(context.Background(), embedded.Options{Root: root})
		if dir := os.Getenv(buildHere); err == nil && dir != "" {
			err = buildIn(d, dir)
		}
		fmt.Print(err)
		return
	}
	logrus.SetOutput(io.Discard) // the daemon's own log
	os.Exit(inFolder(m.Run))
}

// programs is the folder of what the tests compile.
var programs string

func inFolder(run func() int) int {
	dir, err := os.MkdirTemp("", "embedded")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	programs = dir
	return run()
}

// step is the program in the images of the tests.
var step = sync.OnceValues(func() (string, error) { return compile("step", "../testdata/step") })

func compile(name, from string) (string, error) {
	name = filepath.Join(programs, name)
	cmd := exec.Command("go", "build", "-o", name, from)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return name, nil
}

// bench is a daemon under test with a builder on it.
type bench struct {
	*buildkit.Builder
	daemon *embedded.Daemon
	close  func() error
}

// start runs a daemon that ends with the test, if it was not closed before.
func start(t *testing.T, o embedded.Options) *bench {
	t.Helper()
	ctx, done := context.WithCancel(t.Context())
	d, err := embedded.Start(ctx, o)
	done() // which a daemon that runs does not mind
	if err != nil {
		t.Fatal(err)
	}
	c, err := buildkit.Ready(t.Context(), embedded.Address, d.Dialer())
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{Builder: buildkit.New(c), daemon: d}
	b.Held = d.Held
	b.close = sync.OnceValue(func() error {
		b.Builder.Close()
		return d.Close()
	})
	t.Cleanup(func() {
		if err := b.close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return b
}

// buildIn builds a directory with a daemon, for a test that ends this process.
func buildIn(d *embedded.Daemon, dir string) error {
	c, err := buildkit.Ready(context.Background(), embedded.Address, d.Dialer())
	if err != nil {
		return err
	}
	b := buildkit.New(c)
	b.Held = d.Held
	return b.Build(context.Background(), image.Spec{
		Context: dir, Dockerfile: filepath.Join(dir, "Dockerfile"), Layout: filepath.Join(dir, "layout"),
		Args: []string{"GATE=" + os.Getenv("GATE")}, Limits: limits,
	}, io.Discard)
}

// source makes a directory of a Dockerfile and the program step.
func source(t *testing.T, dockerfile string) string {
	t.Helper()
	program, err := step()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Link(program, filepath.Join(dir, "step")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func spec(t *testing.T, dir string) image.Spec {
	return image.Spec{Context: dir, Dockerfile: filepath.Join(dir, "Dockerfile"), Layout: filepath.Join(t.TempDir(), "layout")}
}

// mustBuild builds a Dockerfile and gives the log and the layout's index.
func (b *bench) mustBuild(t *testing.T, dockerfile string) (log, index string) {
	t.Helper()
	var w strings.Builder
	s := spec(t, source(t, dockerfile))
	if err := b.Build(t.Context(), s, &w); err != nil {
		t.Fatalf("%v\n%s", err, w.String())
	}
	data, err := os.ReadFile(filepath.Join(s.Layout, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	return w.String(), regexp.MustCompile(`sha256:[0-9a-f]{64}`).FindString(string(data))
}
