package rackd_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// member is an archive, or a piece of one: several in a row are one stream.
func member(t *testing.T, whole bool, write func(*tar.Writer) error) []byte {
	t.Helper()
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	w := tar.NewWriter(zip)
	err := write(w)
	if whole {
		err = errors.Join(err, w.Close())
	}
	if err = errors.Join(err, zip.Close()); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// entries writes headers, and for files as many zeros as they say.
func entries(all ...tar.Header) func(*tar.Writer) error {
	return func(w *tar.Writer) error {
		for _, h := range all {
			h.Mode = 0o644
			if err := w.WriteHeader(&h); err != nil {
				return err
			}
			if _, err := io.CopyN(w, endless{}, h.Size); err != nil {
				return err
			}
		}
		return nil
	}
}

// endless is zeros.
type endless struct{}

func (endless) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// repeated is a stream of one piece many times over, which is nowhere as a whole.
func repeated(piece []byte, times int) io.Reader {
	all := make([]io.Reader, times)
	for i := range all {
		all[i] = bytes.NewReader(piece)
	}
	return io.MultiReader(all...)
}

// hostile uploads an archive to web, of a length that is not said, and builds it.
func (m *machine) hostile(archive io.Reader) (b rack.Build, log string) {
	m.Helper()
	a := m.do("POST", "/apps/web/objects/tmp/hostile.tgz", nil, struct{ io.Reader }{archive})
	if a.status != http.StatusOK {
		m.Fatalf("upload: %d %s", a.status, a.body)
	}
	b = decode[rack.Build](m, m.post("/apps/web/builds", map[string][]string{"url": {"object://web/tmp/hostile.tgz"}}))
	log = m.log(b.ID)
	return m.build(b.ID), log
}

// heap runs something and gives by how much what the process has of memory grew,
// in bytes.
func heap(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return max(after.HeapSys, before.HeapSys) - before.HeapSys
}

// enough is what hostile archives may cost in memory, in bytes.
const enough = 128 << 20

// A few megabytes that would be 8 GB. The disk gets some hundred megabytes of
// them for a moment.
func TestBombIsUploadedAndBuilt(t *testing.T) {
	m := start(t)
	const size = 7 << 30
	head := member(t, false, func(w *tar.Writer) error {
		return w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "zeros", Mode: 0o644, Size: size})
	})
	var zeros bytes.Buffer
	zip := gzip.NewWriter(&zeros)
	io.CopyN(zip, endless{}, 64<<20)
	m.must(zip.Close())
	grown := heap(func() {
		b, log := m.hostile(io.MultiReader(bytes.NewReader(head), repeated(zeros.Bytes(), size/(64<<20))))
		want := "ERROR: unpack \"zeros\": source is over the limit of 200 bytes for each byte of the archive\n"
		if b.Status != rack.BuildFailed || log != want {
			t.Errorf("%s: %q", b.Status, log)
		}
	})
	if grown > enough {
		t.Errorf("it took %d bytes of memory", grown)
	}
	cleared(m)
}

// Ten million entries, 5 GB of archive in some megabytes, are refused within the
// first million, and take no memory.
func TestTenMillionEntriesAreUploadedAndBuilt(t *testing.T) {
	m := start(t)
	const pieces = 100
	links := make([]tar.Header, 10_000_000/pieces)
	for i := range links {
		links[i] = tar.Header{Typeflag: tar.TypeSymlink, Name: fmt.Sprint("l", i), Linkname: "/etc/passwd"}
	}
	piece := member(t, false, entries(links...))
	links = nil
	grown := heap(func() {
		b, log := m.hostile(repeated(piece, pieces))
		if b.Status != rack.BuildFailed || !strings.HasSuffix(log, "source is over the limit of 1000000 files\n") {
			t.Errorf("%s: %.200q", b.Status, log)
		}
	})
	if grown > enough {
		t.Errorf("it took %d bytes of memory", grown)
	}
	cleared(m)
}

// Names and links that lead out of the source: the build fails, or has nothing of
// what they lead to, and what is outside stays as it was.
func TestEscapesAreUploadedAndBuilt(t *testing.T) {
	outside := t.TempDir()
	canary := filepath.Join(outside, "canary")
	if err := os.WriteFile(canary, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	const failed, complete = rack.BuildFailed, rack.BuildComplete
	escape := "name leads out of the source folder"
	for _, test := range []struct {
		name, status, says string
		entries            []tar.Header
	}{
		{"dots", failed, escape, []tar.Header{{Name: "../../../../canary", Size: 1}}},
		{"dots within", failed, escape, []tar.Header{{Name: "a/../../canary", Size: 1}}},
		{"absolute", failed, escape, []tar.Header{{Name: canary, Size: 1}}},
		{"absolute folder", failed, escape, []tar.Header{{Name: outside + "/new/", Typeflag: tar.TypeDir}}},
		{"through a link", complete, "Skipping: ", []tar.Header{{Name: "l", Typeflag: tar.TypeSymlink, Linkname: outside}, {Name: "l/canary", Size: 1}}},
		{"a link to a file", complete, "Skipping: ", []tar.Header{{Name: "l", Typeflag: tar.TypeSymlink, Linkname: canary}, {Name: "l", Size: 1}}},
		{"a hard link", complete, "Skipping: ", []tar.Header{{Name: "h", Typeflag: tar.TypeLink, Linkname: canary}, {Name: "h", Size: 1}}},
		{"a hard link by dots", complete, "Skipping: ", []tar.Header{{Name: "h", Typeflag: tar.TypeLink, Linkname: "../../../../../.." + canary}}},
		{"a device", complete, "Skipping: ", []tar.Header{{Name: "d", Typeflag: tar.TypeBlock, Devmajor: 8}}},
		{"a manifest by a link", failed, "there is no such file in the source", []tar.Header{{Name: "convox.yml", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := start(t)
			m.engine.work = func(_ context.Context, s image.Spec, log io.Writer) error {
				return filepath.WalkDir(s.Context, func(path string, d os.DirEntry, err error) error {
					if err == nil && !d.IsDir() && !d.Type().IsRegular() {
						err = fmt.Errorf("the builder got %s, %v", path, d.Type())
					}
					return err
				})
			}
			all := test.entries
			for i := range all {
				if all[i].Typeflag == 0 {
					all[i].Typeflag = tar.TypeReg
				}
			}
			source := member(t, true, func(w *tar.Writer) error {
				if err := entries(all...)(w); err != nil || test.name == "a manifest by a link" {
					return err
				}
				for name, text := range plain {
					err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: int64(len(text)), Mode: 0o644})
					if _, wrong := io.WriteString(w, text); errors.Join(err, wrong) != nil {
						return errors.Join(err, wrong)
					}
				}
				return nil
			})
			b, log := m.hostile(bytes.NewReader(source))
			if b.Status != test.status || !strings.Contains(log, test.says) {
				t.Errorf("%s: %q", b.Status, log)
			}
			cleared(m)
			left, err := os.ReadDir(outside)
			if data, wrong := os.ReadFile(canary); errors.Join(err, wrong) != nil || len(left) != 1 || string(data) != "mine" {
				t.Errorf("outside is %v with %q, %v", left, data, errors.Join(err, wrong))
			}
		})
	}
}

// TestHostileImports drives what is refused of sources through the other door.
func TestHostileImports(t *testing.T) {
	s := store(t)
	m := start(t, s.use)
	outside := t.TempDir()
	var zeros bytes.Buffer
	zip := gzip.NewWriter(&zeros)
	io.CopyN(zip, endless{}, 64<<20)
	m.must(zip.Close())
	head := func(name string) []byte {
		return member(t, false, func(w *tar.Writer) error {
			return w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Size: 60 << 30})
		})
	}
	var blob bytes.Buffer
	m.must(tar.NewWriter(&blob).WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "blobs/sha256/" + strings.Repeat("0", 64), Mode: 0o600, Size: 50 << 30}))
	ofImage := member(t, false, func(w *tar.Writer) error {
		err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "a.tar", Mode: 0o600, Size: 60 << 30})
		_, wrong := w.Write(blob.Bytes())
		return errors.Join(err, wrong)
	})
	links := make([]tar.Header, 100_000)
	for i := range links {
		links[i] = tar.Header{Typeflag: tar.TypeSymlink, Name: fmt.Sprint("l", i), Linkname: "/etc/passwd"}
	}
	for name, test := range map[string]struct {
		archive io.Reader
		want    string
	}{
		"a bomb of a log":             {io.MultiReader(bytes.NewReader(head("build.log")), repeated(zeros.Bytes(), 960)), "archive is over the limit of 200 bytes for each byte of it"},
		"a bomb of an image":          {io.MultiReader(bytes.NewReader(ofImage), repeated(zeros.Bytes(), 960)), "archive is over the limit of 200 bytes for each byte of it"},
		"a bomb of a record":          {io.MultiReader(bytes.NewReader(head("build.json")), repeated(zeros.Bytes(), 960)), "build.json is over the limit of 4194304 bytes"},
		"a bomb of what is not known": {io.MultiReader(bytes.NewReader(head("x")), repeated(zeros.Bytes(), 960)), "archive is over the limit of 200 bytes for each byte of it"},
		"ten million entries":         {repeated(member(t, false, entries(links...)), 100), "archive is over the limit of 1000 entries"},
		"names that lead out": {bytes.NewReader(member(t, true, entries(
			tar.Header{Typeflag: tar.TypeReg, Name: "../../../build.json", Size: 1}, tar.Header{Typeflag: tar.TypeReg, Name: outside + "/build.log", Size: 1},
			tar.Header{Typeflag: tar.TypeSymlink, Name: "build.log", Linkname: outside + "/x"}))), "unable to locate build.json"},
	} {
		grown := heap(func() {
			a := m.do("POST", "/apps/web/builds/import", nil, struct{ io.Reader }{test.archive})
			if a.status < 400 || !strings.HasPrefix(a.body, test.want) {
				t.Errorf("%s: %d %.200q, want %q", name, a.status, a.body, test.want)
			}
		})
		if grown > enough {
			t.Errorf("%s took %d bytes of memory", name, grown)
		}
		cleared(m)
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("outside are %v, %v", left, err)
	}
	if bs := decode[[]rack.Build](m, m.get("/apps/web/builds")); len(bs) > 0 {
		t.Errorf("left behind: %v", bs)
	}
}
