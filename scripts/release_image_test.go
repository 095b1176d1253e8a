package scripts_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/convox-ci/convox-ci/internal/registry"
)

// docker gives the variables with which the docker command works on the engine of the
// tests. It has no network, which the scripts do not need.
func docker(t *testing.T) []string {
	t.Helper()
	e, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(e.Log())
		}
	})
	return e.Env()
}

// TestImages makes the images of a release on an engine and a registry: both kinds
// for two architectures, put together, tried, and named anew.
func TestImages(t *testing.T) {
	front := httptest.NewServer(registry.Embedded(t.Context(), t.TempDir(), ""))
	defer front.Close()
	repository := strings.TrimPrefix(front.URL, "http://") + "/o/n"
	c := newCheckout(t)
	origin(c)
	c.env = append(c.env, docker(t)...)
	c.env = append(c.env, "GITHUB_OUTPUT="+filepath.Join(c.dir, "dist/outputs"))
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
	c.env = append(c.env, docker(t)...)
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
