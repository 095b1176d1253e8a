//go:build !carrier

package app

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/convox-ci/convox-ci/internal/enginetest"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// dockerLab is an estateLab with an engine of Docker, in which the binary, a process
// of its own, builds from now on.
type dockerLab struct {
	*estateLab
	engine *enginetest.Engine
}

func newDockerLab(t *testing.T) *dockerLab {
	engine := enginetest.For(t)
	l := &dockerLab{newEstateLab(t), engine}
	l.program = filepath.Join(l.dir, "bin", "convox-ci")
	l.compile(l.program)
	l.compile(filepath.Join(l.dir, "bin", "convox-env"))
	for i, e := range l.environ {
		if strings.HasPrefix(e, "DOCKER_HOST=") {
			l.environ[i] = "DOCKER_HOST=" + engine.Address
		}
	}
	l.do(0, "apps", "create", "web")
	return l
}

// deliverAlike builds one source for each way of delivery, and one that differs in a
// file, by AWS. It gives the build that was delivered by AWS.
func (l *estateLab) deliverAlike() (build string) {
	l.Helper()
	source := l.app("one")
	l.fake.Moved()
	build, _, _ = l.build(source)
	first, uploaded, _ := l.fake.Moved()
	want := l.fake.Digest(appRepo, "web."+build)
	if want == "" || len(uploaded) < 4 {
		l.Fatalf("the image is %q, of %q", want, uploaded)
	}
	out := l.do(0, "build", "--external", "--delivery", "import", "--app", "web", source)
	imported := regexp.MustCompile(`Build +(B[A-Z]{10})`).FindStringSubmatch(l.do(0, "releases", "info", "--app", "web", regexp.MustCompile(`\bR[A-Z]{10}\b`).FindString(out)))[1]
	if got := l.fake.Digest(appRepo, "web."+imported); got != want || imported == build {
		l.Errorf("by import the image of %s is %s, by aws it is %s", imported, got, want)
	}
	out = l.do(1, "build", "--external", "--delivery", "repository", "--app", "web", source)
	l.has(out, "the images of this rack are in the registry "+l.host()+"/office, to which it lends no credentials")
	out = l.do(0, "build", "--external", "--delivery", "repository", "--rack", "local", "--app", "web", source)
	l.has(out, "by repository (as delivery says)", "@"+want+"\n")
	layers := l.layers("web." + build)
	l.fake.Moved()
	next, _, _ := l.build(l.app("two"))
	second, uploaded, mounted := l.fake.Moved()
	var changed []string
	for _, digest := range l.layers("web." + next) {
		if !slices.Contains(layers, digest) {
			changed = append(changed, digest)
		}
	}
	slices.Sort(changed)
	if !slices.Equal(uploaded, changed) || len(changed) != 2 || len(mounted) > 0 {
		l.Errorf("sent %q, mounted %q, want the changed layer and the configuration, %q", uploaded, mounted, changed)
	}
	l.Logf("delivery by aws: first build %d bytes sent, the next with one changed file %d", first, second)
	if second*100 > first {
		l.Errorf("%d bytes were sent after %d", second, first)
	}
	return build
}

// TestDockerDeliversByAWS: what Docker's engine builds gets to AWS as what is built
// without it, is the image that it is by the other ways, and is on the rack as one of
// its own. No image stays in Docker, and no credentials do.
func TestDockerDeliversByAWS(t *testing.T) {
	l := newDockerLab(t)
	l.do(0, "env", "set", "--app", "web", "SECRET=correct-horse")
	first := l.deliverAlike()
	l.fake.Make("office/base", false)
	l.copyImage("web."+first, "office/base:1")
	source := l.app("three")
	l.file(source, "Dockerfile", "FROM "+l.host()+"/office/base:1\nCOPY word /other\nRUN [\"/bin/busybox\", \"cat\", \"/other\"]\nENTRYPOINT [\"/bin/echo\", \"hello\"]\n")
	build, release, out := l.build("--description", "by hand", source)
	l.has(out, "by aws (as delivery says)", "Injecting: convox-env\n")
	l.has(l.do(0, "builds", "--app", "web"), build+"  complete  "+release)
	l.has(l.do(0, "builds", "info", "--app", "web", "--json", build), `"by hand"`, `"entrypoint": "/bin/echo hello"`, `"object://web/build/`+build+`/logs"`, `services:\n`)
	logs := l.do(0, "builds", "logs", "--app", "web", build)
	l.has(logs, "FROM "+l.host()+"/office/base:1", " three\n", "Running: docker push "+l.host()+"/office/web:web."+build)
	l.has(l.do(0, "releases", "--app", "web"), release+"          "+build)
	l.has(l.do(0, "releases", "info", "--app", "web", release), "SECRET")
	l.do(0, "promote", "--app", "web", release)
	config, err := l.image(appRepo + ":web." + build).ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(config.Config.Entrypoint, " "); got != "/convox-env /bin/echo hello" {
		t.Errorf("the image starts with %q", got)
	}
	l.nothingStays()
}

// nothingStays fails if an image is in Docker, or credentials are where the docker
// command keeps them.
func (l *dockerLab) nothingStays() {
	l.Helper()
	if images, err := l.engine.Images(); err != nil || len(images) > 0 {
		l.Errorf("images stay in Docker: %q, %v", images, err)
	}
	for _, dir := range []string{os.Getenv("DOCKER_CONFIG"), filepath.Join(l.dir, ".docker")} {
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			l.Errorf("there is %s: %v", dir, err)
		}
	}
}

// TestDockerEnds: a build that is ended while it runs in Docker runs there no longer,
// and has failed with its log; nothing of it is a release.
func TestDockerEnds(t *testing.T) {
	l := newDockerLab(t)
	for _, c := range []struct {
		name string
		end  func(*os.Process)
		exit int
		says string
	}{
		{"signal", func(p *os.Process) { p.Signal(syscall.SIGTERM) }, 143, "was cancelled: build .: cancelled by signal: terminated"},
		{"engine gone", func(*os.Process) { l.engine.Close() }, 1, "the builder has ended, or is out of reach, in the middle of the build"},
	} {
		gate, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer gate.Close()
		source := l.app("one")
		_, port, _ := net.SplitHostPort(gate.Addr().String())
		l.file(source, "Dockerfile", "FROM scratch\nCOPY busybox /busybox\nRUN [\"/busybox\", \"nc\", \"127.0.0.1\", \""+port+"\"]\n")
		var out bytes.Buffer
		cmd := l.command(l.environ, []string{"build", "--external", "--delivery", "aws", "--app", "web", source}, &out)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		step, err := gate.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer step.Close()
		c.end(cmd.Process)
		cmd.Wait()
		step.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := step.Read(make([]byte, 1)); os.IsTimeout(err) {
			t.Errorf("%s: the step still runs", c.name)
		}
		l.has(out.String(), c.says)
		if got := cmd.ProcessState.ExitCode(); got != c.exit {
			t.Errorf("%s: exit status %d, want %d", c.name, got, c.exit)
		}
		id := regexp.MustCompile(`Build:   (B[A-Z]{10})`).FindStringSubmatch(out.String())[1]
		b, err := l.records().Build(t.Context(), "web", id)
		if err != nil || b.Status != rack.BuildFailed || b.Release != "" {
			t.Errorf("%s: the build is %+v, %v", c.name, b, err)
		}
		l.has(l.do(0, "builds", "logs", "--app", "web", id), "COPY busybox /busybox", "ERROR: ")
	}
}
