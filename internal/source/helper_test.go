package source_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/source"
)

// grow makes files below dir: a name that ends in a slash is a folder, a content "-> x" a link to
// x.
func grow(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		full := filepath.Join(dir, filepath.FromSlash(name))
		parent := filepath.Dir(full)
		if strings.HasSuffix(name, "/") {
			parent = full
		}
		if err := os.MkdirAll(parent, 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			err = os.Symlink(target, full)
		} else if parent != full {
			err = os.WriteFile(full, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// pack packs dir, which must work.
func pack(t testing.TB, dir string, o source.Options) []byte {
	t.Helper()
	var b bytes.Buffer
	stats, err := source.Pack(t.Context(), &b, dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if stats.Packed != int64(b.Len()) {
		t.Errorf("Packed = %d, wrote %d bytes", stats.Packed, b.Len())
	}
	return b.Bytes()
}

// stored is one entry as an archive has it, read by the standard library.
type stored struct {
	Header  tar.Header
	Content string
}

// list reads an archive.
func list(t testing.TB, archive []byte) []stored {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	var all []stored
	for in := tar.NewReader(zip); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, stored{*h, string(content)})
	}
}

// names are the names of all entries in their order.
func names(t testing.TB, archive []byte) []string {
	t.Helper()
	all := []string{}
	for _, e := range list(t, archive) {
		all = append(all, e.Header.Name)
	}
	return all
}

// archive makes a gzipped tar stream. Sizes are set from the contents.
func archive(t testing.TB, entries ...stored) []byte {
	t.Helper()
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	out := tar.NewWriter(zip)
	for _, e := range entries {
		e.Header.Size = int64(len(e.Content))
		if err := out.WriteHeader(&e.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(out, e.Content); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(out.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// compress makes b a gzip stream.
func compress(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	if _, err := zip.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// unpack unpacks an archive into a new folder and returns its path.
func unpack(t testing.TB, packed []byte, limits source.Limits) (string, source.Unpacked, error) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	got, err := source.Unpack(t.Context(), root, bytes.NewReader(packed), limits)
	return dir, got, err
}

// tree describes everything below dir: "mode content" by name.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(full string, d fs.DirEntry, err error) error {
		if err != nil || full == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, full)
		if err != nil {
			return err
		}
		text := info.Mode().String()
		if info.Mode().IsRegular() {
			content, err := os.ReadFile(full)
			if err != nil {
				return err
			}
			text += " " + string(content)
		}
		all[filepath.ToSlash(name)] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
