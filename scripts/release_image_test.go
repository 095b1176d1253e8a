package scripts_test

import (
	"bytes"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/convox-ci/convox-ci/internal/registry"
)

// patience is how long a test waits for what should happen at once, on a busy machine.
const patience = time.Minute

// dockerd starts an engine for a checkout and gives its address. It has no network,
// which the scripts do not need.
func dockerd(t *testing.T) string {
	t.Helper()
	for _, program := range []string{"dockerd", "docker"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatal(program + " is missing; on Debian and Ubuntu: apt-get install --no-install-recommends docker.io")
		}
	}
	dir, err := os.MkdirTemp("", "docker") // t.TempDir is too long for the names of sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ready, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer ready.Close()
	address := "unix://" + filepath.Join(dir, "sock")
	var said bytes.Buffer
	cmd := exec.Command("dockerd", "-H", address, "--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"),
		"--pidfile", filepath.Join(dir, "pid"), "--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false")
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+filepath.Join(dir, "notify"))
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	ready.SetReadDeadline(time.Now().Add(patience))
	for word := make([]byte, 1<<10); ; {
		n, err := ready.Read(word)
		if err != nil {
			t.Fatalf("dockerd is not ready: %v", err)
		}
		if strings.Contains(string(word[:n]), "READY=1") {
			return address
		}
	}
}

// TestImages makes the images of a release on an engine and a registry: both kinds
// for two architectures, put together, tried, and named anew.
func TestImages(t *testing.T) {
	front := httptest.NewServer(registry.Embedded(t.Context(), t.TempDir(), ""))
	defer front.Close()
	repository := strings.TrimPrefix(front.URL, "http://") + "/o/n"
	c := newCheckout(t)
	origin(c)
	c.env = append(c.env, "DOCKER_HOST="+dockerd(t), "DOCKER_CONFIG="+t.TempDir(), "DOCKER_BUILDKIT=0", "GITHUB_OUTPUT="+filepath.Join(c.dir, "dist/outputs"))
	for _, architecture := range []string{"amd64", "arm64"} {
		c.binary(architecture)
		c.must("scripts/release-image", "push", repository, "release/v1.2.3", "dist", architecture)
	}
	c.must("scripts/release-image", "index", repository, "release/v1.2.3")
	outputs := regexp.MustCompile(`^slim=(sha256:[0-9a-f]{64})\nci=(sha256:[0-9a-f]{64})\n$`).FindStringSubmatch(c.read("dist/outputs"))
	if outputs == nil {
		t.Fatalf("outputs\n%s", c.read("dist/outputs"))
	}
	for kind, digest := range map[string]string{"": outputs[1], "-ci": outputs[2]} {
		hasBoth(t, repository+"@"+digest)
		if got := digestOf(t, repository+":v1.2.3"+kind); got != digest {
			t.Errorf("v1.2.3%s is %s, said to be %s", kind, got, digest)
		}
		c.must("scripts/release-smoke", repository+"@"+digest, "v1.2.3")
		c.refuse("has the version v1.2.3 and not v1.2.4", "scripts/release-smoke", repository+"@"+digest, "v1.2.4")
	}
	c.must("scripts/release-image", "index", repository, "v1.2.3") // a try that was broken off is made again
	c.must("scripts/release-image", "move", repository, "v1.2.3")
	for _, tag := range []string{"v1", "v1.2"} {
		if got := digestOf(t, repository+":"+tag); got != outputs[1] {
			t.Errorf("%s is %s", tag, got)
		}
		if got := digestOf(t, repository+":"+tag+"-ci"); got != outputs[2] {
			t.Errorf("%s-ci is %s", tag, got)
		}
	}
}

// TestSmokeIsSeen: an image that does not get its inputs is no release.
func TestSmokeIsSeen(t *testing.T) {
	front := httptest.NewServer(registry.Embedded(t.Context(), t.TempDir(), ""))
	defer front.Close()
	repository := strings.TrimPrefix(front.URL, "http://") + "/o/n"
	c := newCheckout(t)
	origin(c)
	c.env = append(c.env, "DOCKER_HOST="+dockerd(t), "DOCKER_CONFIG="+t.TempDir(), "DOCKER_BUILDKIT=0")
	c.write("cmd/convox-ci/main.go", strings.Replace(program, "INPUT_BUILD-TIMEOUT", "INPUT_BUILD_TIMEOUT", 1), 0o644)
	c.must("git", "commit", "--quiet", "--all", "--message", "Break")
	c.binary("amd64")
	c.must("scripts/release-image", "push", repository, "v1.2.3", "dist", "amd64")
	c.refuse("does not get its inputs: status 2", "scripts/release-smoke", repository+":v1.2.3-amd64", "v1.2.3")
}

// binary makes one of the binaries of version v1.2.3.
func (c checkout) binary(architecture string) {
	c.t.Helper()
	c.must("git", "tag", "--force", "v1.2.3")
	c.env = append(slices.Clone(c.env), "GOOS=linux", "GOARCH="+architecture, "GOFLAGS=-buildvcs=true")
	c.must("scripts/build", "dist/convox-ci_linux_"+architecture)
}

// hasBoth looks for the architectures in an index.
func hasBoth(t *testing.T, reference string) {
	t.Helper()
	r, err := name.ParseReference(reference)
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(r)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var platforms []string
	for _, m := range manifest.Manifests {
		platforms = append(platforms, fmt.Sprint(m.Platform))
	}
	slices.Sort(platforms)
	if want := []string{"linux/amd64", "linux/arm64"}; !slices.Equal(platforms, want) {
		t.Errorf("%s has %v, want %v", reference, platforms, want)
	}
}

func digestOf(t *testing.T, reference string) string {
	t.Helper()
	r, err := name.ParseReference(reference)
	if err != nil {
		t.Fatal(err)
	}
	d, err := remote.Get(r)
	if err != nil {
		t.Fatal(err)
	}
	return d.Digest.String()
}

// TestDockerfileFits: what our Dockerfile takes from the stage that compiles is what
// a release puts in its place.
func TestDockerfileFits(t *testing.T) {
	text, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	if stages := regexp.MustCompile(`(?mi)^FROM .* AS compiled$`).FindAll(text, -1); len(stages) != 1 {
		t.Errorf("%d stages with the name compiled", len(stages))
	}
	taken := regexp.MustCompile(`(?mi)^COPY .*--from=compiled .*$`).FindAllString(string(text), -1)
	for _, line := range taken {
		if !strings.Contains(line, " /linux/$TARGETARCH/convox-ci ") {
			t.Errorf("%s: a release does not have that", line)
		}
	}
	if len(taken) == 0 {
		t.Error("nothing is taken from the stage with the program")
	}
}
