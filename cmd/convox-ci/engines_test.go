package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/convox-ci/convox-ci/internal/enginetest"
)

// TestEnginesDeliverAlike: an app that Docker's engine builds is one image by either
// way of delivery; and what that has in it, and how it starts, is as of the embedded
// BuildKit. Docker promises no more where its BuildKit hands an image over by Docker's
// own store, which packs layers in its own way, so that their digests are other ones.
// With containerd's store the layers are the same ones. Nothing stays in a store.
func TestEnginesDeliverAlike(t *testing.T) {
	engine := enginetest.For(t)
	d := newDelivery(t)
	dir := d.source(map[string]string{"Dockerfile": "FROM scratch\nCOPY tool /tool\nENV WORD=orchid\nWORKDIR /work\nCOPY word word\nRUN [\"/tool\", \"write\", \"WORD\", \"/list\"]\nUSER 1000\nENTRYPOINT [\"/tool\"]\nCMD [\"print\"]\n", "word": "one"})
	images := map[string]v1.Image{}
	for _, builder := range []string{"docker", "embedded"} {
		var environ []string
		if builder == "docker" {
			environ = engine.Env()[:1]
		}
		for _, way := range []string{"repository", "import"} {
			_, outputs := d.do(environ, "build", "--external", "--delivery", way, dir)
			images[builder+" by "+way] = d.image(outputs["build"])
		}
	}
	for _, builder := range []string{"docker", "embedded"} {
		if one, two := digestOf(t, images[builder+" by repository"]), digestOf(t, images[builder+" by import"]); one != two {
			t.Errorf("%s: %s by repository, %s by import", builder, one, two)
		}
	}
	docker, embedded := images["docker by repository"], images["embedded by repository"]
	if diff := cmp.Diff(starts(t, docker), starts(t, embedded)); diff != "" {
		t.Errorf("how it starts (-docker +embedded):\n%s", diff)
	}
	if diff := cmp.Diff(contents(t, docker), contents(t, embedded)); diff != "" {
		t.Errorf("what is in it (-docker +embedded):\n%s", diff)
	}
	modern, err := engine.OnContainerd()
	if err != nil {
		t.Fatal(err)
	}
	const lacks = `error: cache-to: "type=local" is not for this Docker, whose BuildKit keeps caches elsewhere only with containerd's image store; accepted: a BuildKit daemon at BUILDKIT_HOST, as docker/setup-buildx-action starts one, which has them all`
	out, err := d.client(engine.Env()[:1], "build", "--external", "--cache-to", "type=local,dest="+t.TempDir(), dir).CombinedOutput()
	if modern != (err == nil) || !modern && !strings.Contains(string(out), lacks) {
		t.Errorf("a cache elsewhere, with containerd's image store (%v): %v\n%s", modern, err, out)
	}
	if one, two := layers(t, docker)[0], layers(t, embedded)[0]; modern != (one == two) {
		t.Errorf("with containerd's image store (%v) the lowest layer is %s, by the embedded BuildKit %s", modern, one, two)
	}
	if images, err := engine.Images(); err != nil || len(images) > 0 {
		t.Errorf("images stay in Docker: %q, %v", images, err)
	}
}

func digestOf(t *testing.T, img v1.Image) v1.Hash {
	t.Helper()
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

// starts is all that a container of an image starts with.
func starts(t *testing.T, img v1.Image) string {
	t.Helper()
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s/%s %q %q %q %q %q", c.OS, c.Architecture, c.Config.Entrypoint, c.Config.Cmd, c.Config.Env, c.Config.WorkingDir, c.Config.User)
}

// contents are the files of an image, without directories, with all that a program can see of them but
// the times of what the build itself has made.
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
		if h.Typeflag == tar.TypeDir { // Docker leaves the places of what it mounts for a step
			continue
		}
		name := strings.Trim(h.Name, "./")
		digest, size, err := v1.SHA256(r)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = fmt.Sprintf("%c %o %d:%d %q %s %d", h.Typeflag, h.Mode&0o7777, h.Uid, h.Gid, h.Linkname, digest, size)
		if name == "tool" || name == "work/word" {
			files[name] += " " + h.ModTime.UTC().String()
		}
	}
}
