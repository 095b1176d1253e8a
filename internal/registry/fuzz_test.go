package registry_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/convox-ci/convox-ci/internal/registry"
)

// FuzzLoad holds: whatever an archive says, nothing is written outside of the
// directory, and what is taken for an image is a whole one.
func FuzzLoad(f *testing.F) {
	img, err := random.Image(1<<8, 2)
	if err != nil {
		f.Fatal(err)
	}
	files := legacy(f, img, "app:web.B1")
	f.Add(pack(f, files...))
	f.Add(pack(f, file{"oci-layout", map[string]string{}}, file{"index.json", v1.IndexManifest{SchemaVersion: 2}}))
	dir := filepath.Join(f.TempDir(), "layout")
	p, err := layout.Write(dir, imageIndex(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(pack(f, filesOf(f, string(p))...))
	f.Fuzz(func(t *testing.T, archive []byte) {
		outside := t.TempDir()
		dir := filepath.Join(outside, "within")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		names, _, err := new(registry.Client).Load(t.Context(), bytes.NewReader(archive), dir)
		if left, failed := os.ReadDir(outside); failed != nil || len(left) != 1 {
			t.Errorf("outside are %v, %v", left, failed)
		}
		if err != nil {
			return
		}
		if len(names) == 0 || !slices.IsSorted(names) {
			t.Errorf("names are %q", names)
		}
		index, err := layout.ImageIndexFromPath(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Index(index, validate.Fast); err != nil {
			t.Error(err)
		}
	})
}

// imageIndex is an index of two images.
func imageIndex(f *testing.F) v1.ImageIndex {
	f.Helper()
	index, err := random.Index(1<<8, 2, 2)
	if err != nil {
		f.Fatal(err)
	}
	return index
}
