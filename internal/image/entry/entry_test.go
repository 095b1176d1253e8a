package entry_test

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/image/entry"
)

// programs are those of two architectures.
func programs(architecture string) ([]byte, error) {
	if architecture != "amd64" && architecture != "arm64" {
		return nil, fmt.Errorf("%w: %s", image.ErrNoProgram, architecture)
	}
	return []byte("the program for " + architecture), nil
}

func wrapper() *entry.Wrapper { return &entry.Wrapper{Programs: programs} }

// made is an image of random layers in a form, with a configuration of which all
// that a test says is in the JSON of members.
func made(t *testing.T, media types.MediaType, members string) v1.Image {
	t.Helper()
	base, err := random.Image(1<<10, 2)
	if err != nil {
		t.Fatal(err)
	}
	base = mutate.MediaType(base, media)
	if media == types.OCIManifestSchema1 {
		base = mutate.ConfigMediaType(base, types.OCIConfigJSON)
	}
	m, err := base.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	file, err := base.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	rootFS, err := json.Marshal(file.RootFS)
	if err != nil {
		t.Fatal(err)
	}
	config := []byte(`{"rootfs":` + string(rootFS) + `,` + members + `}`)
	digest, size, err := v1.SHA256(strings.NewReader(string(config)))
	if err != nil {
		t.Fatal(err)
	}
	m = m.DeepCopy()
	m.Config.Digest, m.Config.Size, m.Annotations = digest, size, map[string]string{"kept": "<&>"}
	manifest, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	img, err := partial.CompressedToImage(&raw{base, config, manifest, media})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// raw is an image with the layers of another one.
type raw struct {
	base             v1.Image
	config, manifest []byte
	media            types.MediaType
}

func (r *raw) RawConfigFile() ([]byte, error)      { return r.config, nil }
func (r *raw) RawManifest() ([]byte, error)        { return r.manifest, nil }
func (r *raw) MediaType() (types.MediaType, error) { return r.media, nil }
func (r *raw) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	return r.base.LayerByDigest(h)
}

// laid writes an image to a new layout.
func laid(t *testing.T, img v1.Image, options ...layout.Option) string {
	t.Helper()
	dir := t.TempDir()
	p, err := layout.Write(dir, empty.Index)
	if err == nil {
		err = p.AppendImage(img, options...)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// in is the only image of a layout, which must be sound.
func in(t *testing.T, dir string) v1.Image {
	t.Helper()
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	m, err := index.IndexManifest()
	if err != nil || len(m.Manifests) != 1 {
		t.Fatalf("%d images, %v", len(m.Manifests), err)
	}
	img, err := index.Image(m.Manifests[0].Digest)
	if err == nil {
		err = validate.Image(img)
	}
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func configOf(t *testing.T, img v1.Image) map[string]any {
	t.Helper()
	data, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

const history = `"history":[{"created_by":"one"},{"created_by":"env","empty_layer":true},{"created_by":"two"}]`

// TestWrap: the entry point and the layers are what changes.
func TestWrap(t *testing.T) {
	for name, test := range map[string]struct {
		members    string
		config     string // afterwards
		entrypoint []string
		told       int // entries of the history afterwards
	}{
		"nothing":         {`"architecture":"amd64"`, `{"Entrypoint":["/convox-env"]}`, nil, 0},
		"null config":     {`"architecture":"amd64","config":null`, `{"Entrypoint":["/convox-env"]}`, nil, 0},
		"null CMD":        {`"config":{"Entrypoint":["a"],"Cmd":null}`, `{"Entrypoint":["/convox-env","a"],"Cmd":null}`, []string{"a"}, 0},
		"no CMD":          {`"config":{"Entrypoint":["a"]}`, `{"Entrypoint":["/convox-env","a"]}`, []string{"a"}, 0},
		"only CMD":        {`"config":{"Cmd":["/bin/sh","-c","a && b"]}`, `{"Entrypoint":["/convox-env"],"Cmd":["/bin/sh","-c","a && b"]}`, nil, 0},
		"null entrypoint": {`"config":{"Entrypoint":null,"Cmd":["c"]}`, `{"Entrypoint":["/convox-env"],"Cmd":["c"]}`, nil, 0},
		"shell form": {`"config":{"Entrypoint":["/bin/sh","-c","exec <a> & b"]}`, `{"Entrypoint":["/convox-env","/bin/sh","-c","exec <a> & b"]}`,
			[]string{"/bin/sh", "-c", "exec <a> & b"}, 0},
		"all else": {`"os":"linux","created":"2020-01-02T03:04:05Z","author":"<ann>","os.features":["x"],"config":{"User":"ann","Env":["A=1"],"WorkingDir":"/w",` +
			`"Labels":{"l":"<&>"},"ExposedPorts":{"80/tcp":{}},"Healthcheck":{"Test":["NONE"],"StartInterval":5},"ArgsEscaped":true,"unknown":[1.50]},` + history,
			`{"Entrypoint":["/convox-env"],"User":"ann","Env":["A=1"],"WorkingDir":"/w",` +
				`"Labels":{"l":"<&>"},"ExposedPorts":{"80/tcp":{}},"Healthcheck":{"Test":["NONE"],"StartInterval":5},"ArgsEscaped":true,"unknown":[1.50]}`, nil, 4},
		"no history":       {`"history":[]`, `{"Entrypoint":["/convox-env"]}`, nil, 0},
		"history of parts": {`"history":[{"created_by":"one"}]`, `{"Entrypoint":["/convox-env"]}`, nil, 1},
	} {
		for _, media := range []types.MediaType{types.OCIManifestSchema1, types.DockerManifestSchema2} {
			t.Run(name+" "+string(media), func(t *testing.T) {
				was := made(t, media, test.members)
				dir := laid(t, was, layout.WithAnnotations(map[string]string{"name": "kept"}))
				if got, err := wrapper().Entrypoint(dir); err != nil || !slices.Equal(got, test.entrypoint) {
					t.Errorf("entry point is %q, %v, want %q", got, err, test.entrypoint)
				}
				if err := wrapper().Wrap(dir); err != nil {
					t.Fatal(err)
				}
				is := in(t, dir)
				before, after := configOf(t, was), configOf(t, is)
				var config any
				if err := json.Unmarshal([]byte(test.config), &config); err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(config, after["config"]); d != "" {
					t.Errorf("config (-want +got):\n%s", d)
				}
				told, _ := after["history"].([]any)
				if len(told) != test.told {
					t.Errorf("history is %v", told)
				}
				if test.told == 4 {
					if d := cmp.Diff(map[string]any{"created": "2020-01-02T03:04:05Z", "created_by": "convox-env"}, told[3]); d != "" {
						t.Errorf("last of the history (-want +got):\n%s", d)
					}
				}
				for _, changed := range []string{"config", "rootfs", "history"} {
					delete(before, changed)
					delete(after, changed)
				}
				if d := cmp.Diff(before, after); d != "" {
					t.Errorf("all else (-want +got):\n%s", d)
				}
				sameManifest(t, was, is)
				index, err := os.ReadFile(filepath.Join(dir, "index.json"))
				if err != nil || !strings.Contains(string(index), `"name": "kept"`) {
					t.Errorf("index is %s, %v", index, err)
				}
			})
		}
	}
}

// sameManifest wants a manifest with one more layer, of the kind of the others.
func sameManifest(t *testing.T, was, is v1.Image) {
	t.Helper()
	before, err := was.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	after, err := is.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	n := len(before.Layers)
	if len(after.Layers) != n+1 {
		t.Fatalf("%d layers, had %d", len(after.Layers), n)
	}
	kind := map[types.MediaType]types.MediaType{types.OCIManifestSchema1: types.OCILayer, types.DockerManifestSchema2: types.DockerLayer}[after.MediaType]
	if after.Layers[n].MediaType != kind {
		t.Errorf("layer is %s in a %s", after.Layers[n].MediaType, after.MediaType)
	}
	after = after.DeepCopy()
	after.Layers, after.Config.Digest, after.Config.Size = after.Layers[:n], before.Config.Digest, before.Config.Size
	if d := cmp.Diff(before, after); d != "" {
		t.Errorf("manifest (-want +got):\n%s", d)
	}
}

// last is the layer that came last, and what is in it.
func last(t *testing.T, dir string) (digest string, files []tar.Header, contents string) {
	t.Helper()
	layers, err := in(t, dir).Layers()
	if err != nil {
		t.Fatal(err)
	}
	l := layers[len(layers)-1]
	h, err := l.Digest()
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for all := tar.NewReader(r); ; {
		f, err := all.Next()
		if errors.Is(err, io.EOF) {
			return h.String(), files, contents
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(all)
		if err != nil {
			t.Fatal(err)
		}
		files, contents = append(files, *f), contents+string(data)
	}
}

// TestLayer: one file, the same bytes each time, for the machine of the image.
func TestLayer(t *testing.T) {
	digests := map[string]string{}
	for _, members := range []string{`"architecture":"amd64"`, `"architecture":"arm64"`, `"architecture":"amd64","config":{"Cmd":["x"]}`, `"author":"none"`} {
		dir := laid(t, made(t, types.OCIManifestSchema1, members))
		if err := wrapper().Wrap(dir); err != nil {
			t.Fatal(err)
		}
		digest, files, contents := last(t, dir)
		architecture := runtime.GOARCH
		for _, a := range []string{"amd64", "arm64"} {
			if strings.Contains(members, a) {
				architecture = a
			}
		}
		if want := "the program for " + architecture; contents != want {
			t.Errorf("%s: it holds %q, want %q", members, contents, want)
		}
		if known := digests[architecture]; known != "" && known != digest {
			t.Errorf("%s: layer is %s, was %s", members, digest, known)
		}
		digests[architecture] = digest
		f := files[0]
		if len(files) != 1 || f.Name != "convox-env" || f.Typeflag != tar.TypeReg || f.Mode != 0o755 || f.Uid != 0 || f.Gid != 0 || f.ModTime.Unix() != 0 {
			t.Errorf("%s: files are %+v", members, files)
		}
	}
	if digests["amd64"] == digests["arm64"] {
		t.Error("one layer for two machines")
	}
}

// TestWrappedTwice: an image that was made by a rack starts through the program
// twice, which does no harm.
func TestWrappedTwice(t *testing.T) {
	w, dir := wrapper(), laid(t, made(t, types.OCIManifestSchema1, `"config":{"Entrypoint":["a"]},`+history))
	for range 2 {
		if err := w.Wrap(dir); err != nil {
			t.Fatal(err)
		}
	}
	in(t, dir)
	if got, err := w.Entrypoint(dir); err != nil || !slices.Equal(got, []string{"/convox-env", "/convox-env", "a"}) {
		t.Errorf("entry point is %q, %v", got, err)
	}
}

// TestUnwrapped: after an error the image is as it was.
func TestUnwrapped(t *testing.T) {
	for members, want := range map[string]string{
		`"architecture":"s390x"`:        "no program for this architecture: s390x",
		`"config":{"Entrypoint":"a b"}`: "configuration of the image: json: cannot unmarshal string into Go value of type []string",
		`"config":[]`:                   "configuration of the image: json: cannot unmarshal array into Go value of type entry.object",
		`"history":{}`:                  "configuration of the image: json: cannot unmarshal object into Go value of type []json.RawMessage",
	} {
		dir := laid(t, made(t, types.OCIManifestSchema1, members))
		before, err := os.ReadFile(filepath.Join(dir, "index.json"))
		if err != nil {
			t.Fatal(err)
		}
		err = wrapper().Wrap(dir)
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", members, err, want)
		}
		if errors.Is(err, image.ErrNoProgram) != strings.Contains(members, "s390x") {
			t.Errorf("%s: kind of %v", members, err)
		}
		if after, err := os.ReadFile(filepath.Join(dir, "index.json")); err != nil || string(after) != string(before) {
			t.Errorf("%s: the image has changed, %v", members, err)
		}
	}
	two := laid(t, made(t, types.OCIManifestSchema1, `"author":"a"`))
	if err := layout.Path(two).AppendImage(made(t, types.OCIManifestSchema1, `"author":"b"`)); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{two, t.TempDir()} {
		if err := wrapper().Wrap(dir); err == nil {
			t.Errorf("%s: no error", dir)
		}
		if _, err := wrapper().Entrypoint(dir); err == nil {
			t.Errorf("%s: no error for the entry point", dir)
		}
	}
}
