package rack_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// part is an entry of an archive of a build.
type part struct {
	name     string
	contents string
}

// tarOf is a tar stream. A name that is empty is that of a folder.
func tarOf(t testing.TB, parts ...part) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, p := range parts {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: p.name, Mode: 0o600, Size: int64(len(p.contents))}
		if p.name == "" {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, p.contents); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipped(t testing.TB, data []byte) []byte {
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

func archiveOf(t testing.TB, parts ...part) []byte {
	t.Helper()
	return zipped(t, tarOf(t, parts...))
}

// recordPart is the record of a build of myapp.
func recordPart(t testing.TB) part {
	t.Helper()
	data, err := json.MarshalIndent(rack.Build{ID: "BSEEDBUILDA", App: "myapp", Description: "a build", Manifest: "services: {}\n"}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return part{"build.json", string(data)}
}

// noise is text that gzip cannot make much shorter.
func noise(n int) string {
	text := make([]byte, n)
	for i, x := 0, uint32(1); i < n; i++ {
		x = x*1664525 + 1013904223
		text[i] = byte(x >> 24)
	}
	return string(text)
}

func archiveV2(t testing.TB) []byte {
	t.Helper()
	return archiveOf(t, recordPart(t), part{"myapp.BSEEDBUILDA.tar", noise(200_000)}, part{"build.log", "Building: .\n"})
}

func archiveV3(t testing.TB) []byte {
	t.Helper()
	return archiveOf(t, recordPart(t), part{}, part{"myapp.BSEEDBUILDA.tar", noise(20_000)}, part{"web.BSEEDBUILDA.tar", noise(20_000)})
}

func TestSoundArchives(t *testing.T) {
	for _, test := range []struct {
		name    string
		archive []byte
		layout  rack.ArchiveLayout
	}{
		{"v2", archiveV2(t), rack.ArchiveV2},
		{"v3", archiveV3(t), rack.ArchiveV3},
		{"v3 without the mark", archiveOf(t, recordPart(t), part{"web.BSEEDBUILDA.tar", "x"}), rack.ArchiveV3},
		{"another name", archiveOf(t, recordPart(t), part{"images.tar", "x"}), rack.ArchiveUnknown},
		{"another order", archiveOf(t, part{"myapp.BSEEDBUILDA.tar", "x"}, recordPart(t)), rack.ArchiveUnknown},
		{"filled up", zipped(t, append(tarOf(t, recordPart(t), part{"myapp.BSEEDBUILDA.tar", "x"}), make([]byte, 100_000)...)), rack.ArchiveV2},
		{"a stored log of zeros", archiveOf(t, recordPart(t), part{"myapp.BSEEDBUILDA.tar", "x"}, part{"log", strings.Repeat("\x00", 5000)}), rack.ArchiveV2},
	} {
		for way, from := range map[string]io.Reader{"": bytes.NewReader(test.archive), " byte by byte": iotest.OneByteReader(bytes.NewReader(test.archive))} {
			a := rack.CheckArchive(from)
			if layout, err := a.Layout(); layout != test.layout || err != nil {
				t.Errorf("%s%s: layout is %q, %v, want %q", test.name, way, layout, err, test.layout)
			}
			got, err := io.ReadAll(a)
			if err != nil || !bytes.Equal(got, test.archive) {
				t.Errorf("%s%s: %d bytes of %d, %v", test.name, way, len(got), len(test.archive), err)
			}
			if b := a.Build(); b.ID != "BSEEDBUILDA" || b.Description != "a build" {
				t.Errorf("%s%s: build %+v", test.name, way, b)
			}
		}
	}
}

// TestLayoutIsKnownEarly: what must be read to refuse an archive is its
// beginning, however large it is.
func TestLayoutIsKnownEarly(t *testing.T) {
	archive := archiveOf(t, recordPart(t), part{"myapp.BSEEDBUILDA.tar", noise(2 << 20)})
	from := bytes.NewReader(archive)
	a := rack.CheckArchive(from)
	if layout, err := a.Layout(); layout != rack.ArchiveV2 || err != nil {
		t.Errorf("layout is %q, %v", layout, err)
	}
	if read := len(archive) - from.Len(); read > 128<<10 {
		t.Errorf("%d of %d bytes were read", read, len(archive))
	}
}

func TestUnsoundArchives(t *testing.T) {
	v2, image := archiveV2(t), part{"myapp.BSEEDBUILDA.tar", noise(3000)}
	whole := tarOf(t, recordPart(t), image)
	flipped := bytes.Clone(v2)
	flipped[len(flipped)-6] ^= 1 // of the checksum
	const said = "unable to find image: no such thing"
	header := v2[:10]
	for _, test := range []struct {
		name    string
		archive []byte
		problem string
		said    string
	}{
		{"nothing", nil, "is empty", ""},
		{"a page", []byte("<html>\n<h1>sorry, but no\n</h1>\n"), "is not compressed by gzip", ""},
		{"a text", []byte("there is no such build\n"), "is not compressed by gzip", "there is no such build"},
		{"cut in the middle", v2[:len(v2)/2], "ends too early", ""},
		{"cut in the checksum", v2[:len(v2)-1], "ends too early", ""},
		{"another checksum", flipped, "is damaged", ""},
		{"the words of a rack at once", slices.Concat(header, []byte(said+"\n")), "", said},
		{"the words of a rack in the middle", slices.Concat(v2[:len(v2)/2], []byte("\x00"+said+"\n")), "", said},
		{"the words of a rack at the end", slices.Concat(v2, []byte(said+"\n")), "goes on after its end", said},
		{"words that move the cursor", slices.Concat(v2, []byte("\x1b[2J"+said+"\n")), "goes on after its end", "[2J" + said},
		{"long words", slices.Concat(v2, []byte(strings.Repeat("word ", 1000)+"\n")), "goes on after its end", strings.TrimSpace(strings.Repeat("word ", 102))},
		{"a second one", slices.Concat(v2, v2), "goes on after its end", ""},
		{"no end of tar", zipped(t, whole[:len(whole)-1024]), "ends too early", ""},
		{"half an end of tar", zipped(t, whole[:len(whole)-512]), "ends too early", ""},
		{"something after tar", zipped(t, append(bytes.Clone(whole), 'x')), "goes on after its end", ""},
		{"tar cut", zipped(t, whole[:2000]), "is damaged", ""},
		{"no tar", zipped(t, []byte(noise(3000))), "is damaged", ""},
		{"no record", archiveOf(t, image), "has no build.json", ""},
		{"no images", archiveOf(t, recordPart(t)), "has no images", ""},
		{"a record of something else", archiveOf(t, part{"build.json", "[]"}, image), "has a build.json that is not the record of a build", ""},
		{"a large record", archiveOf(t, part{"build.json", strings.Repeat(" ", 9<<20)}, image), "has a build.json that is not the record of a build", ""},
		{"a hole", zipped(t, holed(t)), "holds a sparse file, which no rack makes", ""},
	} {
		a := rack.CheckArchive(bytes.NewReader(test.archive))
		got, err := io.ReadAll(a)
		if !bytes.Equal(got, test.archive) {
			t.Errorf("%s: %d bytes of %d", test.name, len(got), len(test.archive))
		}
		var e *rack.ArchiveError
		if !errors.As(err, &e) || test.problem != "" && e.Problem != test.problem || e.Said != test.said {
			t.Errorf("%s: error is %q, want %q and %q", test.name, err, test.problem, test.said)
		}
	}
}

// holed is an archive with a file of a terabyte, all of which is a hole.
func holed(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	records := map[string]string{"XNU.sparse.major": "1", "XNU.sparse.minor": "0", "XNU.sparse.realsize": "1099511627776"}
	if err := w.WriteHeader(&tar.Header{Name: "big", Mode: 0o600, Size: 512, Format: tar.FormatPAX, PAXRecords: records}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "1\n1099511627776\n0\n"+strings.Repeat("\x00", 494)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.ReplaceAll(b.Bytes(), []byte(" XNU."), []byte(" GNU.")) // which the writer refuses to write
}

// TestArchiveErrorsPass: a fault of the way an archive comes by is no fault of
// the archive.
func TestArchiveErrorsPass(t *testing.T) {
	archive := archiveV2(t)
	for _, n := range []int{0, 5, 100, len(archive) / 2, len(archive)} {
		from := func() io.Reader { return io.MultiReader(bytes.NewReader(archive[:n]), iotest.ErrReader(errReset)) }
		got, err := io.ReadAll(rack.CheckArchive(from()))
		if !errors.Is(err, errReset) || len(got) != n {
			t.Errorf("after %d bytes: %d bytes, %v", n, len(got), err)
		}
		if n <= 100 {
			if _, err := rack.CheckArchive(from()).Layout(); !errors.Is(err, errReset) {
				t.Errorf("after %d bytes: layout gives %v", n, err)
			}
		}
	}
}

// FuzzArchive holds: the bytes that go in come out, whatever they are, and an
// archive that is sound is not if it ends anywhere else.
func FuzzArchive(f *testing.F) {
	f.Add(archiveV2(f)[:5000], 0)
	f.Add(archiveOf(f, recordPart(f), part{"myapp.BSEEDBUILDA.tar", "x"}), 7)
	f.Add(archiveV3(f), 300)
	f.Add(zipped(f, holed(f)), 0)
	f.Fuzz(func(t *testing.T, archive []byte, cut int) {
		a := rack.CheckArchive(bytes.NewReader(archive))
		a.Layout()
		got, err := io.ReadAll(a)
		if !bytes.Equal(got, archive) {
			t.Errorf("%d bytes in, %d out", len(archive), len(got))
		}
		if cut < 0 || cut >= len(archive) || err != nil {
			return
		}
		if _, err := io.ReadAll(rack.CheckArchive(bytes.NewReader(archive[:cut]))); err == nil {
			t.Errorf("sound when cut at %d of %d", cut, len(archive))
		}
	})
}

// TestCutAnywhere is the property of [FuzzArchive] for each place.
func TestCutAnywhere(t *testing.T) {
	archive := archiveOf(t, recordPart(t), part{}, part{"web.BSEEDBUILDA.tar", "x"})
	for cut := range archive {
		var e *rack.ArchiveError
		if _, err := io.ReadAll(rack.CheckArchive(bytes.NewReader(archive[:cut]))); !errors.As(err, &e) {
			t.Errorf("cut at %d of %d: %v", cut, len(archive), err)
		}
	}
}

func TestTakes(t *testing.T) {
	for _, test := range []struct {
		name         string
		rack         rack.System
		v2, v3, none bool
	}{
		{"v2", rack.System{Version: "20260421192607", Provider: "aws", Type: "t3.small"}, true, false, true},
		{"v3", rack.System{Version: "3.24.6", Provider: "aws"}, false, true, true},
		{"v3 on a machine", rack.System{Version: "3.24.6", Provider: "local"}, false, true, true},
		{"embedded", rack.System{Version: "20260531001024", Provider: "local", Type: "local"}, true, true, true},
		{"unknown", rack.System{Version: "dev"}, true, true, true},
	} {
		if v2, v3, none := test.rack.Takes(rack.ArchiveV2), test.rack.Takes(rack.ArchiveV3), test.rack.Takes(rack.ArchiveUnknown); v2 != test.v2 || v3 != test.v3 || none != test.none {
			t.Errorf("%s takes v2 %t, v3 %t, others %t", test.name, v2, v3, none)
		}
		if external := test.rack.TakesExternal(); external != (test.name != "v2") {
			t.Errorf("%s takes builds that are made elsewhere: %t", test.name, external)
		}
	}
}
