package rack_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/wire"
)

// TestParcel: an archive has the entries of the recorded ones of its layout, and is
// known for it.
func TestParcel(t *testing.T) {
	image := func(service, text string) rack.Packed {
		return rack.Packed{Service: service, Size: int64(len(text)), Write: func(w io.Writer) error { _, err := io.WriteString(w, text); return err }}
	}
	build := rack.Build{ID: "BSEEDBUILDA", App: "myapp", Description: "a build"}
	for name, c := range map[string]struct {
		images []rack.Packed
		layout rack.ArchiveLayout
	}{
		"v2-builds-import": {[]rack.Packed{image("", "all of them")}, rack.ArchiveV2},
		"v3-builds-import": {[]rack.Packed{image("web", "one"), image("worker", "another")}, rack.ArchiveV3},
	} {
		var b bytes.Buffer
		if err := (rack.Parcel{Build: build, Images: c.images}).Write(&b); err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, e := range wire.Load(t, name).Exchanges {
			for _, entry := range e.Tar {
				want = append(want, entry.Type+" "+entry.Name)
			}
		}
		if got := entries(t, b.Bytes()); len(want) == 0 || !slices.Equal(got, want) {
			t.Errorf("%s: entries %q, recorded %q", name, got, want)
		}
		a := rack.CheckArchive(&b)
		if layout, err := a.Layout(); layout != c.layout || err != nil {
			t.Errorf("%s: layout %q, %v", name, layout, err)
		}
		if _, err := io.Copy(io.Discard, a); err != nil || a.Build().ID != build.ID {
			t.Errorf("%s: %v, %v", name, a.Build(), err)
		}
	}
	full := errors.New("full")
	broken := rack.Packed{Service: "web", Size: 5, Write: func(io.Writer) error { return full }}
	if err := (rack.Parcel{Build: build, Images: []rack.Packed{broken, image("worker", "x")}}).Write(io.Discard); !errors.Is(err, full) {
		t.Errorf("an image that cannot be written: %v", err)
	}
}

// entries are the types and names of the entries of an archive.
func entries(t *testing.T, archive []byte) (list []string) {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(zip); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, string(h.Typeflag)+" "+h.Name)
	}
}
