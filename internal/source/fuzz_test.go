package source_test

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/source"
	"github.com/google/go-cmp/cmp"
)

// FuzzUnpack: whatever the archive holds, nothing appears or changes outside of the root, and
// inside there are no more files and bytes than allowed, and neither links nor devices.
func FuzzUnpack(f *testing.F) {
	for _, entries := range [][]stored{
		{file("f", "content", 0o644), folder("d/", 0o700), file("d/f", "", 0o755)},
		{file("../canary", "x", 0o644)},
		{file("/tmp/canary", "x", 0o644)},
		{other(tar.TypeSymlink, "up", ".."), file("up/canary", "x", 0o644)},
		{other(tar.TypeLink, "hard", "../canary"), file("hard", "x", 0o644)},
		{file("a", "", 0o644), file("a", "b", 0), folder("a", 0)},
		{file(strings.Repeat("n/", 130)+"f", "", 0o644)},
	} {
		f.Add(tarOf(f, archive(f, entries...)))
	}
	f.Add(tarOf(f, sparse(f, 100)))
	f.Add(tarOf(f, sparse(f, 1<<40)))
	limits := source.Limits{Bytes: 64 << 10, Files: 50}
	f.Fuzz(func(t *testing.T, stream []byte) {
		above := t.TempDir()
		grow(t, above, map[string]string{"canary": "untouched", "root/": ""})
		dir := filepath.Join(above, "root")
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		got, err := source.Unpack(t.Context(), root, bytes.NewReader(compress(t, stream)), limits)
		t.Logf("%+v, %v", got, err)

		files, size := 0, int64(0)
		err = filepath.WalkDir(above, func(name string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasPrefix(name, dir+"/") {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			if !d.IsDir() && !d.Type().IsRegular() {
				t.Errorf("%s is a %v", name, d.Type())
			}
			if files++; d.Type().IsRegular() {
				size += info.Size()
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if files > limits.Files || size > limits.Bytes || got.Files > limits.Files || got.Bytes < size {
			t.Errorf("%d files, %d bytes; limits %+v, Unpack = %+v", files, size, limits, got)
		}
		left, err := os.ReadDir(above)
		if err != nil {
			t.Fatal(err)
		}
		canary, err := os.ReadFile(filepath.Join(above, "canary"))
		if len(left) != 2 || string(canary) != "untouched" || err != nil {
			t.Errorf("outside of the root are %v, and the canary is %q, %v", left, canary, err)
		}
	})
}

// FuzzUnpackGzip: bytes that may not even be gzip end in an answer.
func FuzzUnpackGzip(f *testing.F) {
	good := archive(f, file("f", "content", 0o644))
	f.Add(good)
	f.Add(good[:20])
	f.Add(append(good, good...))
	f.Fuzz(func(t *testing.T, packed []byte) {
		_, got, err := unpack(t, packed, source.Limits{Bytes: 64 << 10, Files: 50})
		if err == nil && !bytes.HasPrefix(packed, []byte("\x1f\x8b")) {
			t.Errorf("Unpack = %+v for bytes that are not gzip", got)
		}
	})
}

// FuzzRoundTrip: a tree that is packed and unpacked is the same tree.
func FuzzRoundTrip(f *testing.F) {
	f.Add("a\x00b/c\x00d/\x00b/e", []byte("content"), uint16(0o755), uint32(3))
	f.Add("\xff\n\x00 \x00...\x00-\x00*", []byte{}, uint16(0), uint32(0))
	f.Add(strings.Repeat("long/", 60)+"\x00"+strings.Repeat("é", 120), []byte{0}, uint16(0o4421), uint32(300_000))
	f.Fuzz(func(t *testing.T, list string, content []byte, mode uint16, repeat uint32) {
		dir := t.TempDir()
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		content = bytes.Repeat(content, int(repeat%(1<<20))/(len(content)+1))
		for _, name := range strings.Split(list, "\x00") {
			plant(root, name, content, fs.FileMode(mode)&fs.ModePerm)
			content = content[len(content)/2:]
		}
		_ = root.Remove(".dockerignore")
		before := tree(t, dir)
		out, _, err := unpack(t, pack(t, dir, source.Options{}), source.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, tree(t, out)); diff != "" {
			t.Errorf("unpacked tree differs (-packed +unpacked):\n%s", diff)
		}
	})
}

// plant makes a file, or a folder when the name ends in a slash, where the system takes the name.
func plant(root *os.Root, name string, content []byte, mode fs.FileMode) {
	parent, base := filepath.Split(name)
	if root.MkdirAll(filepath.Clean(parent), 0o755) != nil || base == "" {
		return
	}
	if root.WriteFile(name, content, 0o600) == nil {
		_ = root.Chmod(name, mode|0o400) // on failure the file keeps its mode
	}
}
