package registry_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/convox-ci/convox-ci/internal/registry"
)

// saved is an archive of images, which must have the length that was foretold.
func saved(t *testing.T, c *registry.Client, refs map[string]string) []byte {
	t.Helper()
	size, write, err := c.Save(t.Context(), refs)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	if int64(b.Len()) != size {
		t.Errorf("the archive has %d bytes, %d were foretold", b.Len(), size)
	}
	return b.Bytes()
}

// load loads an archive and pushes each image to the app of that name in a
// registry, under its own name's last part.
func load(t *testing.T, c *registry.Client, archive []byte, repository string) []string {
	t.Helper()
	names, push, err := c.Load(t.Context(), bytes.NewReader(archive), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	refs := map[string]string{}
	for _, n := range names {
		refs[n] = repository + ":" + n[strings.LastIndex(n, ":")+1:]
		if n == "" {
			refs[n] = repository + ":unnamed"
		}
	}
	if err := push(refs); err != nil {
		t.Fatal(err)
	}
	return names
}

// file is an entry of a tar stream; its contents are JSON unless they are bytes.
type file struct {
	name     string
	contents any
}

func pack(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		data, ok := f.contents.([]byte)
		if !ok {
			var err error
			if data, err = json.Marshal(f.contents); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(data))})); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// unpack gives the files of a tar stream in their order.
func unpack(t *testing.T, archive []byte) (files []file) {
	t.Helper()
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file{h.Name, data})
	}
}

func TestSaveAndLoad(t *testing.T) {
	from, to := serve(t, t.TempDir(), ""), serve(t, t.TempDir(), "")
	c := &registry.Client{}
	web, worker := anImage(t), anImage(t)
	mustPush(t, c, web, from.host+"/app:web.B1")
	mustPush(t, c, web, from.host+"/app:admin.B1") // the same image, saved once
	mustPush(t, c, worker, from.host+"/app:worker.B1")
	refs := map[string]string{}
	for _, s := range []string{"admin", "web", "worker"} {
		refs["convox/app:"+s+".B1"] = from.host + "/app:" + s + ".B1"
	}
	archive := saved(t, c, refs)
	if again := saved(t, c, refs); !bytes.Equal(again, archive) {
		t.Error("the same images give other bytes")
	}
	blobs := 0
	for _, f := range unpack(t, archive) {
		if strings.HasPrefix(f.name, "blobs/sha256/") {
			blobs++
		}
	}
	if blobs != 8 { // two images of two layers, a configuration and a manifest
		t.Errorf("the archive has %d blobs, want 8", blobs)
	}
	names := load(t, c, archive, to.host+"/other")
	if want := []string{"convox/app:admin.B1", "convox/app:web.B1", "convox/app:worker.B1"}; !slices.Equal(names, want) {
		t.Errorf("names are %q, want %q", names, want)
	}
	for tag, img := range map[string]v1.Image{"admin.B1": web, "web.B1": web, "worker.B1": worker} {
		if got, want := pulled(t, c, to.host+"/other:"+tag), digestOf(t, img); got != want {
			t.Errorf("%s is %s, was %s", tag, got, want)
		}
	}
}

func TestSaveFaults(t *testing.T) {
	dir := t.TempDir()
	r := serve(t, dir, "")
	c := &registry.Client{}
	if _, _, err := c.Save(t.Context(), map[string]string{"convox/app:web.B1": r.host + "/app:web.B1"}); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("image that is not there: %v", err)
	}
	img := anImage(t)
	mustPush(t, c, img, r.host+"/app:web.B1")
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	lost, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	blob := filepath.Join(dir, "docker/registry/v2/blobs/sha256", lost.Hex[:2], lost.Hex, "data")
	_, write, err := c.Save(t.Context(), map[string]string{"convox/app:web.B1": r.host + "/app:web.B1"})
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(blob)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(blob, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := write(io.Discard); err == nil || !strings.Contains(err.Error(), "sha256") {
		t.Errorf("a blob that is another one: %v", err)
	}
	if err := os.Remove(blob); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Save(t.Context(), map[string]string{"convox/app:web.B1": r.host + "/app:web.B1"}); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("layer that is not there: %v", err)
	}
}

// legacy is an archive as Docker wrote it up to version 24: layers as plain tar
// streams, in folders with names that say nothing.
func legacy(t testing.TB, img v1.Image, tag string) []file {
	t.Helper()
	config, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	files := []file{{"config.json", config}}
	var names []string
	for i, l := range layers {
		r, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.Repeat(string(rune('a'+i)), 64) + "/layer.tar"
		files = append(files, file{name, data})
		names = append(names, name)
	}
	return append(files, file{"manifest.json", []map[string]any{{"Config": "config.json", "RepoTags": []string{tag}, "Layers": names}}})
}

func TestLoadLegacy(t *testing.T) {
	r := serve(t, t.TempDir(), "")
	c := &registry.Client{}
	img := anImage(t)
	load(t, c, pack(t, legacy(t, img, "registry.invalid/app:web.B1")...), r.host+"/app")
	got := remoteImage(t, r.host+"/app:web.B1")
	config, err := got.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := img.ConfigName(); config != want {
		t.Errorf("configuration is %s, want %s", config, want)
	}
	m, err := got.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	layers, err := got.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range m.Layers {
		if l.MediaType != types.DockerLayer {
			t.Errorf("layer is %s", l.MediaType)
		}
		compressed, err := layers[i].Compressed()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(compressed)
		if err != nil || !bytes.HasPrefix(data, []byte("\x1f\x8b")) {
			t.Errorf("layer is not compressed: %v", err)
		}
	}
}

// filesOf gives the files below a directory.
func filesOf(t testing.TB, dir string) (files []file) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files = append(files, file{filepath.ToSlash(name), data})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestLoadLayout takes an OCI archive, as v3 racks have one for each service.
func TestLoadLayout(t *testing.T) {
	r := serve(t, t.TempDir(), "")
	c := &registry.Client{}
	img := anImage(t)
	if names := load(t, c, pack(t, filesOf(t, layoutOf(t, img))...), r.host+"/app"); !slices.Equal(names, []string{""}) {
		t.Errorf("names are %q", names)
	}
	if got, want := pulled(t, c, r.host+"/app:unnamed"), digestOf(t, img); got != want {
		t.Errorf("pulled %s, want %s", got, want)
	}
}

func TestLoadFaults(t *testing.T) {
	img, other := anImage(t), anImage(t)
	files := legacy(t, img, "app:web.B1")
	without := func(name string) []file {
		return slices.DeleteFunc(slices.Clone(files), func(f file) bool { return strings.HasPrefix(f.name, name) })
	}
	with := func(list []file, more ...file) []file { return append(slices.Clone(list), more...) }
	foreign := legacy(t, other, "")[1]
	for _, test := range []struct {
		name    string
		archive []byte
		want    string
	}{
		{"nothing", pack(t), "unable to locate manifest"},
		{"an empty list", pack(t, file{"manifest.json", []string{}}), "invalid image manifest: no data"},
		{"an image without a name", pack(t, with(without("manifest"), file{"manifest.json", []map[string]any{{"Config": "config.json",
			"Layers": []string{files[1].name, files[2].name}}}})...), "invalid image manifest: no data"},
		{"no JSON", pack(t, file{"manifest.json", []byte("{")}), "invalid image manifest: "},
		{"a layer missing", pack(t, without("bbb")...), "it is missing"},
		{"another layer", pack(t, with(without("bbb"), file{files[2].name, foreign.contents})...), "it is not the one"},
		{"fewer layers", pack(t, with(without("manifest"), file{"manifest.json", []map[string]any{{"Config": "config.json",
			"RepoTags": []string{"app:web.B1"}, "Layers": []string{files[1].name}}}})...), "names 2 layers, the image has 1"},
		{"a blob of another name", pack(t, with(files, file{"blobs/sha256/" + strings.Repeat("0", 64), []byte("x")})...), "is not what its name says"},
		{"a large manifest", pack(t, file{"manifest.json", bytes.Repeat([]byte(" "), 5<<20)}), "over the limit of 4194304 bytes"},
		{"cut", pack(t, files...)[:2000], "unexpected EOF"},
		{"sparse", sparse(t), "is a sparse file"},
	} {
		_, _, err := new(registry.Client).Load(t.Context(), bytes.NewReader(test.archive), t.TempDir())
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error is %v, want one with %q", test.name, err, test.want)
		}
	}
}

// sparse is an archive with a file of a terabyte, all of which is a hole.
func sparse(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	records := map[string]string{"XNU.sparse.major": "1", "XNU.sparse.minor": "0", "XNU.sparse.realsize": "1099511627776"}
	if err := w.WriteHeader(&tar.Header{Name: "big", Mode: 0o600, Size: 512, Format: tar.FormatPAX, PAXRecords: records}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(append([]byte("1\n1099511627776\n0\n"), make([]byte, 494)...)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.ReplaceAll(b.Bytes(), []byte(" XNU."), []byte(" GNU.")) // which the writer refuses to write
}

// TestLoadStaysWithin: names that lead out lead nowhere.
func TestLoadStaysWithin(t *testing.T) {
	outside := t.TempDir()
	dir := filepath.Join(outside, "within")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []tar.Header{
		{Name: "link", Typeflag: tar.TypeSymlink, Linkname: outside},
		{Name: "link/through", Size: 1},
		{Name: "../up", Size: 1},
		{Name: outside + "/absolute", Size: 1},
		{Name: "manifest.json", Typeflag: tar.TypeSymlink, Linkname: "manifest.json"},
	} {
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		h.Mode = 0o600
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, h.Size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := new(registry.Client).Load(t.Context(), &b, dir); err == nil {
		t.Error("no error")
	}
	left, err := os.ReadDir(outside)
	if err != nil || len(left) != 1 {
		t.Errorf("outside are %v, %v", left, err)
	}
}
