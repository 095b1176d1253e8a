// Package scripts_test holds the scripts of a release to what they say of
// themselves, with git, Go, Docker and registries as they are.
package scripts_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/convox-ci/convox-ci/internal/enginetest"
)

// shared is the engine of all tests, started by the first that needs it.
var shared func() (*enginetest.Engine, error)

func TestMain(m *testing.M) { os.Exit(withEngine(m.Run)) }

func withEngine(run func() int) int {
	var started *enginetest.Engine
	shared = sync.OnceValues(func() (*enginetest.Engine, error) {
		e, err := enginetest.Start()
		started = e
		return e, err
	})
	defer func() {
		if started != nil {
			started.Close()
		}
	}()
	return run()
}

// program is what a checkout of the tests is the source of: what is looked at of
// convox-ci by the scripts.
const program = `package main

import (
	"fmt"
	"os"
	"runtime/debug"
)

func main() {
	info, _ := debug.ReadBuildInfo()
	if len(os.Args) == 2 && os.Args[1] == "version" {
		fmt.Println(info.Main.Version)
		return
	}
	fmt.Printf("error: build-timeout: %q is not a duration\n", os.Getenv("INPUT_BUILD-TIMEOUT"))
	os.Exit(2)
}
`

// recipe is a Dockerfile whose compiling stage must not be needed. It has no ARG in
// its last stages, after which the classic builder forgets the platform.
const recipe = `FROM no.such.registry.invalid/golang:1.26.8 AS compiled
COPY . .
RUN scripts/build /linux/$TARGETARCH/convox-ci

FROM scratch AS ci
COPY --from=compiled /linux/*/convox-ci /usr/bin/convox-ci
COPY action.yml /
ENTRYPOINT ["/usr/bin/convox-ci"]

FROM scratch
COPY --from=compiled /linux/*/convox-ci /convox-ci
ENTRYPOINT ["/convox-ci"]
`

// action is an Action that is built from its Dockerfile.
const action = "name: one\nruns:\n  using: docker\n  image: Dockerfile\n  entrypoint: /convox-ci\n"

// checkout is a repository with the scripts, as if it were ours.
type checkout struct {
	t   *testing.T
	dir string
	env []string
}

// newCheckout has one commit on a branch main.
func newCheckout(t *testing.T) checkout {
	t.Helper()
	c := checkout{t: t, dir: t.TempDir(), env: append(os.Environ(),
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.org", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.org",
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GITHUB_OUTPUT=")}
	scripts, err := filepath.Glob("*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range scripts {
		if strings.HasPrefix(name, "release-") {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			c.write("scripts/"+name, string(data), 0o755)
		}
	}
	c.write("scripts/build", "#!/bin/sh\nCGO_ENABLED=0 exec go build -trimpath -ldflags='-s -w' -o \"$1\" ./cmd/convox-ci\n", 0o755)
	c.write("go.mod", "module example.org/convox-ci\n\ngo 1.26\n", 0o644)
	c.write("cmd/convox-ci/main.go", program, 0o644)
	c.write("Dockerfile", recipe, 0o644)
	c.write("action.yml", action, 0o644)
	c.write("actions/deploy/action.yml", strings.Replace(action, "Dockerfile", "../../Dockerfile", 1), 0o644)
	c.write("actions/plain/action.yml", "name: two\nruns:\n  using: composite\n  steps: []\n", 0o644)
	c.write(".dockerignore", "*\n!cmd\n", 0o644)
	c.write(".gitignore", "/dist/\n", 0o644)
	c.must("git", "init", "--quiet", "--initial-branch", "main")
	c.must("git", "add", "--all")
	c.must("git", "commit", "--quiet", "--message", "Begin")
	return c
}

func (c checkout) write(name, text string, mode os.FileMode) {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		c.t.Fatal(err)
	}
}

func (c checkout) read(name string) string {
	c.t.Helper()
	data, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil {
		c.t.Fatal(err)
	}
	return string(data)
}

// run runs a command in the checkout and gives what it printed.
func (c checkout) run(words ...string) (string, error) {
	cmd := exec.Command(words[0], words[1:]...)
	if strings.Contains(words[0], "/") {
		cmd = exec.Command(filepath.Join(c.dir, words[0]), words[1:]...)
	}
	cmd.Dir, cmd.Env = c.dir, c.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", strings.Join(words, " "), err, out)
	}
	return strings.TrimSpace(string(out)), err
}

// must is run for what has to go well.
func (c checkout) must(words ...string) string {
	c.t.Helper()
	out, err := c.run(words...)
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

// refuse is run for what has to be refused, with a word about why.
func (c checkout) refuse(why string, words ...string) {
	c.t.Helper()
	if _, err := c.run(words...); err == nil || !strings.Contains(err.Error(), why) {
		c.t.Errorf("%s: %v, want %q", strings.Join(words, " "), err, why)
	}
}

func TestVersion(t *testing.T) {
	c := newCheckout(t)
	for given, want := range map[string]string{"v1.2.3": "v1.2.3", "release/v10.0.0": "v10.0.0"} {
		if got := c.must("scripts/release-version", given); got != want {
			t.Errorf("%s: %s", given, got)
		}
	}
	for _, given := range []string{"", "1.2.3", "v1.2", "v1.2.3-rc1", "v01.2.3", "v1.2.3\nv1.2.4", "release/v1.2.3; true", "refs/tags/v1.2.3"} {
		c.refuse("is not a version", "scripts/release-version", given)
	}
}

// TestBinaries builds twice, in two places, and compares the bytes.
func TestBinaries(t *testing.T) {
	first := newCheckout(t)
	first.must("scripts/release-binaries", "release/v1.2.3", "dist")
	second := first
	second.dir = t.TempDir()
	first.must("git", "clone", "--quiet", first.dir, second.dir)
	second.must("scripts/release-binaries", "v1.2.3", filepath.Join(second.dir, "dist"))
	names := 0
	for line := range strings.Lines(first.read("dist/checksums.txt")) {
		name := strings.Fields(line)[1]
		names++
		if !bytes.Equal([]byte(first.read("dist/"+name)), []byte(second.read("dist/"+name))) {
			t.Errorf("%s differs from build to build", name)
		}
	}
	if names != 6 {
		t.Errorf("%d binaries", names)
	}
	if a, b := first.read("dist/checksums.txt"), second.read("dist/checksums.txt"); a != b {
		t.Errorf("checksums\n%s\n%s", a, b)
	}
	first.must("sh", "-c", "cd dist && sha256sum --check --strict checksums.txt")
	first.must("test", "-e", "dist/convox-ci_windows_arm64.exe")
	if got := first.must("dist/convox-ci_"+runtime.GOOS+"_"+runtime.GOARCH, "version"); got != "v1.2.3" {
		t.Errorf("version %s", got)
	}
	if tags := first.must("git", "tag"); tags != "" {
		t.Errorf("a tag is left: %s", tags)
	}
}

// TestBinariesAreOfACommit: what is in no commit, or in another one, is not released.
func TestBinariesAreOfACommit(t *testing.T) {
	c := newCheckout(t)
	c.must("git", "tag", "v1.2.3")
	c.must("git", "commit", "--quiet", "--allow-empty", "--message", "Go on")
	c.refuse("v1.2.3 is another commit", "scripts/release-binaries", "v1.2.3", "dist")
	c.write("cmd/convox-ci/main.go", program+"\n", 0o644)
	c.refuse("not committed", "scripts/release-binaries", "v1.2.4", "dist")
}

func TestActions(t *testing.T) {
	const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	c := newCheckout(t)
	for _, reference := range []string{"", "ghcr.io/o/n", "ghcr.io/o/n:v1", "ghcr.io/o/n@sha256:12", "ghcr.io/o/n@" + digest + "0", "@" + digest,
		"ghcr.io/o/n@" + digest + "\nx", "ghcr.io/o/n,s@" + digest} {
		c.refuse("is not an image by its digest", "scripts/release-actions", reference)
	}
	c.write("actions/odd/action.yml", strings.Replace(action, "Dockerfile", "docker://ghcr.io/o/n:v1", 1), 0o644)
	c.refuse("actions/odd/action.yml has no line", "scripts/release-actions", "ghcr.io/o/n@"+digest)
	if got := c.read("action.yml"); got != action {
		t.Errorf("written although another one cannot be:\n%s", got)
	}
	c.must("rm", "-r", "actions/odd")
	c.must("scripts/release-actions", "ghcr.io/o/n:v1.2.3@"+digest)
	want := strings.Replace(action, "Dockerfile", "docker://ghcr.io/o/n:v1.2.3@"+digest, 1)
	for _, name := range []string{"action.yml", "actions/deploy/action.yml"} {
		if got := c.read(name); got != want {
			t.Errorf("%s:\n%s", name, got)
		}
	}
	if changed := c.must("git", "status", "--porcelain"); changed != "M action.yml\n M actions/deploy/action.yml" {
		t.Errorf("changed\n%s", changed)
	}
}

// TestOrb writes into our own orb; its own tests install what is written.
func TestOrb(t *testing.T) {
	c := newCheckout(t)
	if err := os.CopyFS(filepath.Join(c.dir, "orb/src"), os.DirFS("../orb/src")); err != nil {
		t.Fatal(err)
	}
	c.must("git", "add", "--all")
	c.must("git", "commit", "--quiet", "--message", "Add the orb")
	line := strings.Repeat("a", 64) + "  convox-ci_linux_amd64\n"
	for _, checksums := range []string{"", line + "'; rm -rf ~ #\n", line + "\n" + line} {
		c.write("dist/checksums.txt", checksums, 0o644)
		c.refuse("has other lines", "scripts/release-orb", "v1.2.3", "dist")
	}
	line += strings.Repeat("b", 64) + "  convox-ci_windows_amd64.exe\n"
	c.write("dist/checksums.txt", line, 0o644)
	c.refuse("is not a version", "scripts/release-orb", "1.2.3", "dist")
	job := c.read("orb/src/jobs/deploy.yml")
	c.write("orb/src/jobs/deploy.yml", strings.Replace(job, "description: version of convox-ci", "description: which one", 1), 0o644)
	c.refuse("orb/src/jobs/deploy.yml has no version by default", "scripts/release-orb", "v1.2.3", "dist")
	c.write("orb/src/jobs/deploy.yml", job, 0o644)
	if changed := c.must("git", "status", "--porcelain"); changed != "" {
		t.Errorf("written although not all can be: %s", changed)
	}
	c.must("scripts/release-orb", "release/v1.2.3", "dist")
	if got := c.read("orb/src/scripts/install.sh"); !strings.Contains(got, "\nreleased=1.2.3\nchecksums='"+strings.TrimSpace(line)+"'\n") {
		t.Errorf("install.sh\n%.1000s", got)
	}
	if got, want := c.must("git", "diff", "--shortstat"), "4 files changed, 6 insertions(+), 5 deletions(-)"; got != want {
		t.Errorf("changed\n%s", c.must("git", "diff"))
	}
	c.refuse("install.sh has no line", "scripts/release-orb", "v1.2.3", "dist") // it is of a release already
}

// TestPublishComparesFirst: what is released is what was checked. That GitHub's
// program is called then cannot be seen here.
func TestPublishComparesFirst(t *testing.T) {
	c := newCheckout(t)
	c.write("dist/convox-ci_linux_amd64", "a", 0o755)
	c.must("sh", "-c", "cd dist && sha256sum convox-ci_* >checksums.txt")
	c.write("dist/convox-ci_linux_arm64", "b", 0o755)
	c.refuse("convox-ci_linux_arm64 is not in checksums.txt", "scripts/release-publish", "v1.2.3", "dist")
	c.must("rm", "dist/convox-ci_linux_arm64")
	c.write("dist/convox-ci_linux_amd64", "c", 0o755)
	c.refuse("did NOT match", "scripts/release-publish", "v1.2.3", "dist")
}
