package rackd_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/sirupsen/logrus"

	"github.com/convox-ci/convox-ci/internal/rackd"
	registries "github.com/convox-ci/convox-ci/internal/registry"
	"github.com/convox-ci/convox-ci/internal/wire"
)

func TestMain(m *testing.M) {
	logrus.SetOutput(io.Discard) // the registry's own log
	os.Exit(m.Run())
}

// images is a real registry.
type images struct {
	*testing.T
	dir, host string
}

func store(t *testing.T) *images {
	t.Helper()
	s := &images{T: t, dir: t.TempDir()}
	h := httptest.NewServer(registries.Embedded(t.Context(), s.dir, ""))
	t.Cleanup(h.Close)
	s.host = strings.TrimPrefix(h.URL, "http://")
	return s
}

// use makes it the registry of a rack, for what its builder does not push.
func (s *images) use(c *rackd.Config) {
	c.Registry, c.Images = s.host, &registries.Client{}
}

func (s *images) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *images) ref(tag string) name.Reference {
	s.Helper()
	r, err := name.ParseReference(s.host + "/" + tag)
	s.must(err)
	return r
}

// newImage makes one as BuildKit does.
func newImage(t testing.TB) v1.Image {
	t.Helper()
	img, err := random.Image(1<<10, 2)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	return mutate.ConfigMediaType(mutate.MediaType(img, types.OCIManifestSchema1), types.OCIConfigJSON)
}

// push puts a new image into the registry and gives its digest.
func (s *images) push(tag string) string {
	s.Helper()
	s.must(remote.Write(s.ref(tag), newImage(s.T)))
	return s.digest(tag)
}

// digest is that of an image, "" if there is none.
func (s *images) digest(tag string) string {
	s.Helper()
	d, err := remote.Head(s.ref(tag))
	if err != nil {
		return ""
	}
	return d.Digest.String()
}

// tags lists what an app has in the registry.
func (s *images) tags(app string) []string {
	s.Helper()
	r, err := name.NewRepository(s.host + "/" + app)
	s.must(err)
	list, err := remote.List(r)
	if err != nil {
		return nil
	}
	return list
}

// piece is an entry of an archive.
type piece struct {
	name string
	kind byte
	mode int64
	data []byte
}

func packed(t testing.TB, pieces ...piece) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, p := range pieces {
		if p.kind == 0 {
			p.kind = tar.TypeReg
		}
		err := w.WriteHeader(&tar.Header{Typeflag: p.kind, Name: p.name, Mode: 0o600, Size: int64(len(p.data))})
		if err == nil {
			_, err = w.Write(p.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zip(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// pieces takes an archive apart, which must be whole.
func pieces(t *testing.T, archive string) (list []piece) {
	t.Helper()
	zip, err := gzip.NewReader(strings.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(zip); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, piece{h.Name, h.Typeflag, h.Mode, data})
	}
	if _, err := io.Copy(io.Discard, zip); err != nil {
		t.Fatal(err)
	}
	return list
}

// dockerArchive has new images under names, with their layers as plain tar
// streams as Docker wrote them up to version 24.
func dockerArchive(t testing.TB, names ...string) []byte {
	t.Helper()
	var list []piece
	var manifest []map[string]any
	for _, n := range names {
		img := newImage(t)
		config, err := img.RawConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		layers, err := img.Layers()
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, piece{name: n + ".json", data: config})
		var files []string
		for i, l := range layers {
			r, err := l.Uncompressed()
			if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, n+string(rune('a'+i))+"/layer.tar")
			list = append(list, piece{name: files[i], data: data})
		}
		manifest = append(manifest, map[string]any{"Config": n + ".json", "RepoTags": []string{n}, "Layers": files})
	}
	data, err := json.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}
	return packed(t, append(list, piece{name: "manifest.json", data: data})...)
}

// ociArchive has one new image and no name of it.
func ociArchive(t testing.TB) []byte {
	t.Helper()
	dir := t.TempDir()
	p, err := layout.Write(dir, empty.Index)
	if err == nil {
		err = p.AppendImage(newImage(t))
	}
	var list []piece
	err = errors.Join(err, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		list = append(list, piece{name: filepath.ToSlash(name), data: data})
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
	return packed(t, list...)
}

func isExport(e wire.Exchange) bool {
	return e.Method == "GET" && strings.Contains(e.Path, "/builds/") && strings.HasSuffix(e.Path, ".tgz")
}

// imported is an archive with the entries of a recorded one. Only what is not
// an archive was recorded without them.
func (s *session) imported(e wire.Exchange) []byte {
	s.Helper()
	if e.Tar == nil {
		return []byte("not a gzip\n")
	}
	var list []piece
	for _, entry := range e.Tar {
		p := piece{name: entry.Name, kind: entry.Type[0]}
		switch {
		case entry.Name == "build.json":
			b, err := s.stores.Builds.Build(s.Context(), "myapp", "BSEEDBUILDA")
			s.must(err)
			p.data, err = json.Marshal(b)
			s.must(err)
		case strings.HasPrefix(entry.Name, "myapp."):
			p.data = dockerArchive(s.T, "registry.invalid/myapp:web.BSEEDBUILDA", "registry.invalid/myapp:worker.BSEEDBUILDA")
		case entry.Type == "0":
			p.data = ociArchive(s.T)
		}
		list = append(list, p)
	}
	return zip(s.T, packed(s.T, list...))
}

// compareArchives wants an archive to have the entries of the recorded one, and
// the log, which other racks pass over.
func (s *session) compareArchives(what string, e wire.Exchange, got answer) {
	s.Helper()
	if kind := got.header.Get("Content-Type"); kind != e.ResponseHeaders["Content-Type"] {
		s.Errorf("%s: it is %s", what, kind)
	}
	if s.Server != "v2" {
		return
	}
	var want, ours []string
	for _, entry := range e.Tar {
		want = append(want, entry.Name+" "+entry.Type)
	}
	for _, p := range pieces(s.T, got.body) {
		ours = append(ours, p.name+" "+string(p.kind))
		if p.mode != 0o600 {
			s.Errorf("%s: mode of %s is %o", what, p.name, p.mode)
		}
	}
	if d := cmp.Diff(append(want, "build.log 0"), ours); d != "" {
		s.Errorf("%s (-recorded +ours):\n%s", what, d)
	}
}
