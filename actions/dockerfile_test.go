package actions_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/moby/buildkit/client"
	"github.com/tonistiigi/fsutil"

	"github.com/convox-ci/convox-ci/internal/enginetest"
	"github.com/convox-ci/convox-ci/internal/image/buildkit"
	"github.com/convox-ci/convox-ci/internal/image/buildkit/embedded"
)

// tag is the image of the Action in the engine of the tests.
const tag = "convox-ci/convox-ci:test"

// stages are what the image of the Action is packed of, by their names in the
// Dockerfile: directories in the place of images that would have to be fetched. The
// program for the other machine is not one.
func (l *lab) stages() (map[string]string, error) {
	programs, err := l.programs()
	if err != nil {
		return nil, err
	}
	busybox, err := enginetest.Busybox()
	if err != nil {
		return nil, err
	}
	program, err := os.ReadFile(filepath.Join(programs, "convox-ci"))
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(l.dir, "stages")
	files := map[string][]byte{
		"tools/bin/busybox":                       busybox,
		"tools/etc/ssl/certs/ca-certificates.crt": []byte("roots\n"),
		"compiled/linux/amd64/convox-ci":          []byte("for amd64\n"),
		"compiled/linux/arm64/convox-ci":          []byte("for arm64\n"),
		"compiled/linux/convox-ci":                program, // for builders that know one machine
	}
	files["compiled/linux/"+runtime.GOARCH+"/convox-ci"] = program
	for name, data := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(full, data, 0o755); err != nil {
			return nil, err
		}
	}
	for _, applet := range []string{"sh", "mkdir", "chmod", "cp", "ln"} {
		if err := os.Symlink("busybox", filepath.Join(dir, "tools/bin", applet)); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, err
		}
	}
	return map[string]string{"TOOLS": filepath.Join(dir, "tools"), "BUSYBOX": filepath.Join(dir, "tools"), "COMPILED": filepath.Join(dir, "compiled")}, nil
}

// pack builds the Dockerfile for two machines in one go, as releases are.
func (l *lab) pack() (v1.ImageIndex, error) {
	stages, err := l.stages()
	if err != nil {
		return nil, err
	}
	d, err := embedded.Start(context.Background(), embedded.Options{Root: filepath.Join(l.dir, "buildkit")})
	if err != nil {
		return nil, err
	}
	defer d.Close()
	c, err := buildkit.Ready(context.Background(), embedded.Address, d.Dialer())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	dir := filepath.Join(l.dir, "layout")
	opt := client.SolveOpt{
		Frontend:      "dockerfile.v0",
		FrontendAttrs: map[string]string{"platform": "linux/amd64,linux/arm64"},
		LocalMounts:   map[string]fsutil.FS{},
		Exports:       []client.ExportEntry{{Type: client.ExporterOCI, Attrs: map[string]string{"tar": "false", "compression": "uncompressed"}, OutputDir: dir}},
	}
	directories := map[string]string{"context": "..", "dockerfile": ".."}
	for arg, path := range stages {
		stage := strings.ToLower(arg)
		opt.FrontendAttrs["build-arg:"+arg] = stage // which compiled does not need: a context has the place of the stage of its name
		opt.FrontendAttrs["context:"+stage] = "local:" + stage
		directories[stage] = path
	}
	for mount, path := range directories {
		if opt.LocalMounts[mount], err = fsutil.NewFS(path); err != nil {
			return nil, err
		}
	}
	if _, err := c.Solve(context.Background(), nil, opt, nil); err != nil {
		return nil, err
	}
	return onlyIndex(dir)
}

// onlyIndex opens the index of a layout that holds nothing beside it.
func onlyIndex(dir string) (v1.ImageIndex, error) {
	top, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, err
	}
	m, err := top.IndexManifest()
	if err != nil || len(m.Manifests) != 1 {
		return nil, fmt.Errorf("%w, %v", err, m)
	}
	return top.ImageIndex(m.Manifests[0].Digest)
}

// forMachine is the image of an index for an architecture.
func forMachine(index v1.ImageIndex, architecture string) (v1.Image, error) {
	m, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	for _, d := range m.Manifests {
		if d.Platform != nil && d.Platform.Architecture == architecture {
			return index.Image(d.Digest)
		}
	}
	return nil, fmt.Errorf("no image for %s: %v", architecture, m)
}

// loadImage puts the image for this machine into the engine.
func (l *lab) loadImage() (string, error) {
	e, err := l.engine()
	if err != nil {
		return "", err
	}
	index, err := l.index()
	if err != nil {
		return "", err
	}
	img, err := forMachine(index, runtime.GOARCH)
	if err != nil {
		return "", err
	}
	ref, err := name.NewTag(tag)
	if err != nil {
		return "", err
	}
	archive := filepath.Join(l.dir, "image.tar")
	if err := tarball.WriteToFile(archive, ref, img); err != nil {
		return "", err
	}
	defer os.Remove(archive)
	_, err = output(e.Command(context.Background(), "load", "-i", archive))
	return tag, err
}

// files gives what is in an image, by name: the text of a file, or where a link leads.
func files(t *testing.T, img v1.Image) map[string]string {
	t.Helper()
	found := map[string]string{}
	body := mutate.Extract(img)
	defer body.Close()
	for r := tar.NewReader(body); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		switch h.Typeflag {
		case tar.TypeReg:
			found[h.Name] = string(text)
		case tar.TypeSymlink:
			found[h.Name] = "-> " + h.Linkname
		}
	}
}

// TestImageForEachMachine: an image has what belongs into it, for its machine, and
// nothing else.
func TestImageForEachMachine(t *testing.T) {
	index := need(t, shared.index)
	busybox, err := enginetest.Busybox()
	if err != nil {
		t.Fatal(err)
	}
	for _, architecture := range []string{"amd64", "arm64"} {
		img, err := forMachine(index, architecture)
		if err != nil {
			t.Fatal(err)
		}
		got := files(t, img)
		program := got["usr/local/bin/convox-ci"]
		if runtime.GOARCH == architecture && !strings.HasPrefix(program, "\x7fELF") || runtime.GOARCH != architecture && program != "for "+architecture+"\n" {
			t.Errorf("%s: the program begins with %.20q", architecture, program)
		}
		if got["bin/busybox"] != string(busybox) {
			t.Errorf("%s: another busybox", architecture)
		}
		got["bin/busybox"], got["usr/local/bin/convox-ci"] = "", ""
		want := map[string]string{
			"bin/busybox": "", "usr/local/bin/convox-ci": "", "etc/ssl/certs/ca-certificates.crt": "roots\n",
			"bin/sh": "-> busybox", "bin/env": "-> busybox", "bin/tail": "-> busybox",
		}
		for _, verb := range []string{"build", "deploy", "promote", "run", "login", "post"} {
			want["usr/local/bin/convox-ci-"+verb] = "-> convox-ci"
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: wanted (-) and in the image (+):\n%s", architecture, d)
		}
		c, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if user := c.Config.User; user != "" || c.Config.Labels["org.opencontainers.image.licenses"] != "Apache-2.0" || !slices.Equal(c.Config.Entrypoint, []string{"/usr/local/bin/convox-ci"}) {
			t.Errorf("%s: user %q, labels %v, entrypoint %q", architecture, user, c.Config.Labels, c.Config.Entrypoint)
		}
	}
}

// The classic builder makes stages that the image of the Action does not need, and
// knows no contexts that have the place of a stage.
var (
	unneeded = regexp.MustCompile(`(?ms)^FROM [^\n]* AS ci$.*?^(FROM )`)
	compiles = regexp.MustCompile(`(?ms)^FROM [^\n]* AS compiled$.*?^(FROM |#)`)
)

// TestClassicBuilder: the builder of older engines, which act uses, makes the image too.
func TestClassicBuilder(t *testing.T) {
	e := need(t, shared.engine)
	stages := need(t, shared.stages)
	text, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	text = unneeded.ReplaceAll(text, []byte("$1"))
	text = append([]byte("ARG COMPILED\n"), compiles.ReplaceAll(text, []byte("FROM $${COMPILED} AS compiled\n$1"))...)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"build", "--quiet", "--network", "host", "--tag", "convox-ci/classic:test"}
	for arg, path := range stages {
		base := "convox-ci/" + strings.ToLower(arg) + ":test"
		var archive bytes.Buffer
		if err := tarOf(&archive, path); err != nil {
			t.Fatal(err)
		}
		cmd := e.Command(t.Context(), "import", "-", base)
		cmd.Stdin = &archive
		if _, err := output(cmd); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--build-arg", arg+"="+base)
	}
	docker(t, append(args, dir)...)
	got := docker(t, "run", "--rm", "--network", "none", "--entrypoint", "sh", "convox-ci/classic:test", "-c",
		"convox-ci version && tail -n 1 /etc/ssl/certs/ca-certificates.crt")
	if version, authorities, _ := strings.Cut(got, "\n"); !strings.HasPrefix(version, "dev") && !strings.HasPrefix(version, "v") || authorities == "" {
		t.Errorf("the image says %q", got)
	}
}

func tarOf(w io.Writer, dir string) error {
	archive := tar.NewWriter(w)
	if err := archive.AddFS(os.DirFS(dir)); err != nil {
		return err
	}
	return archive.Close()
}
