// Package actions holds the tests of the Actions and their image: on a real engine,
// with act in the place of GitHub's runner, against a rack on this machine.
package actions_test

import (
	"bufio"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/sirupsen/logrus"

	"github.com/convox-ci/convox-ci/internal/enginetest"
)

// patience is how long a test waits for what should happen soon, on a busy machine.
const patience = time.Minute

// jobLimit is how long a job of act may take, which makes containers for every step.
const jobLimit = 5 * time.Minute

// key is the deploy key, which nothing may show.
const key = "orchid-pale-moon-fin-4711"

// lab has the parts that all tests share, started by the first that needs them.
type lab struct {
	dir      string
	programs func() (string, error) // directory of convox-ci and of what goes into images
	engine   func() (*enginetest.Engine, error)
	index    func() (v1.ImageIndex, error) // the image of the Action for each machine
	image    func() (string, error)        // that for this one, in that engine
	rack     func() (*rackLab, error)      // a rack, and a console before it
	jobImage func() (string, error)        // what the jobs of act run in
	mu       sync.Mutex
	end      []func()
}

// rackLab is a rack on this machine.
type rackLab struct {
	url     string // with the key
	console *console
	program string
}

var shared *lab

func TestMain(m *testing.M) {
	logrus.SetOutput(io.Discard) // the embedded BuildKit's own log
	os.Exit(inLab(m.Run))
}

func inLab(run func() int) int {
	dir, err := os.MkdirTemp("", "actions")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	shared = &lab{dir: dir}
	shared.programs = sync.OnceValues(shared.buildPrograms)
	shared.engine = sync.OnceValues(shared.startEngine)
	shared.index = sync.OnceValues(shared.pack)
	shared.image = sync.OnceValues(shared.loadImage)
	shared.rack = sync.OnceValues(shared.startRack)
	shared.jobImage = sync.OnceValues(shared.makeJobImage)
	defer func() {
		for i := range shared.end {
			shared.end[len(shared.end)-1-i]()
		}
	}()
	return run()
}

// atEnd has a part ended when all tests are. Those that were started last end first.
func (l *lab) atEnd(end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end = append(l.end, end)
}

// need returns a part of the lab.
func need[T any](t *testing.T, part func() (T, error)) T {
	t.Helper()
	v, err := part()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// output runs a command and returns what it printed.
func output(cmd *exec.Cmd) (string, error) {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return string(out), nil
}

// buildPrograms builds the program as releases do, and the one in the app's images.
func (l *lab) buildPrograms() (string, error) {
	dir := filepath.Join(l.dir, "programs")
	if _, err := output(exec.Command("../scripts/build", filepath.Join(dir, "convox-ci"))); err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "program"), "./testdata/program")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	_, err := output(cmd)
	return dir, err
}

func (l *lab) startEngine() (*enginetest.Engine, error) {
	e, err := enginetest.Start()
	if err == nil {
		l.atEnd(func() { e.Close() })
	}
	return e, err
}

// stop tells a process to end, and waits for that.
func stop(cmd *exec.Cmd) {
	cmd.Process.Signal(syscall.SIGTERM)
	cmd.Wait()
}

// docker runs the docker command, which must succeed, and returns what it printed.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := output(need(t, shared.engine).Command(t.Context(), args...))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var serving = regexp.MustCompile(`^Rack: *RACK_URL=(\S+)$`)

// startRack starts a rack that keeps its data in the lab, and a console before it.
func (l *lab) startRack() (*rackLab, error) {
	programs, err := l.programs()
	if err != nil {
		return nil, err
	}
	program := filepath.Join(programs, "convox-ci")
	cmd := exec.Command(program, "rack", "serve", "--listen", "127.0.0.1:0", "--registry-listen", "127.0.0.1:0", "--data", filepath.Join(l.dir, "rack"))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "CONVOX_PASSWORD=" + key, "DOCKER_HOST=unix://" + filepath.Join(l.dir, "no-docker.sock")}
	said, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	l.atEnd(func() { stop(cmd) })
	r := &rackLab{program: program}
	var all []string
	for lines := bufio.NewScanner(said); lines.Scan(); {
		all = append(all, lines.Text())
		if m := serving.FindStringSubmatch(lines.Text()); m != nil {
			r.url = strings.Replace(m[1], ":PASSWORD@", url.UserPassword("", key).String()+"@", 1)
		}
		if lines.Text() != "Ready" {
			continue
		}
		go io.Copy(io.Discard, said)
		r.console, err = startConsole(r.url)
		if err == nil {
			l.atEnd(r.console.close)
		}
		return r, err
	}
	return nil, fmt.Errorf("the rack is not ready:\n%s", strings.Join(all, "\n"))
}

// run runs a verb on the rack from here, and returns what it printed.
func (r *rackLab) run(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), r.program, args...)
	cmd.Env = []string{"RACK_URL=" + r.url}
	out, err := output(cmd)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// wasCancelled looks whether a build was cancelled on the rack, which answers before
// it has ended the build: it has when its log ends.
func (r *rackLab) wasCancelled(t *testing.T, app, build string) {
	t.Helper()
	log := r.run(t, "builds", "logs", build, "--app", app)
	if info := r.run(t, "builds", "info", build, "--app", app); !strings.Contains(info, "the build was cancelled") {
		t.Errorf("on the rack:\n%s\n%s", info, log)
	}
}

// tree makes a directory of the app's source, its program in it.
func tree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/app")); err != nil {
		t.Fatal(err)
	}
	copyFile(t, filepath.Join(need(t, shared.programs), "program"), filepath.Join(dir, "program"))
	return dir
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}
