package source_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/source"
	"github.com/google/go-cmp/cmp"
)

func file(name, content string, mode int64) stored {
	return stored{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode}, content}
}

func folder(name string, mode int64) stored {
	return stored{tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode}, ""}
}

func other(kind byte, name, target string) stored {
	return stored{tar.Header{Typeflag: kind, Name: name, Linkname: target, Mode: 0o777}, ""}
}

func TestUnpack(t *testing.T) {
	long := strings.Repeat("d/", 150) + "f"
	gnu := file(strings.Repeat("g", 200), "gnu", 0o644)
	gnu.Header.Format = tar.FormatGNU
	highBits := file("high", "", 1<<23|1<<22|0o755) // setuid and setgid as Go writes them
	highBits.Header.Format = tar.FormatGNU
	tests := []struct {
		name    string
		entries []stored
		want    map[string]string
		skipped []string
	}{
		{"empty", nil, map[string]string{}, nil},
		{"modes", []stored{folder("d/", 0o500), file("d/f", "x", 0o751), file("none", "", 0)},
			map[string]string{"d": "drwx------", "d/f": "-rwxr-x--x x", "none": "---------- "}, nil},
		{"mode bits that are no permissions", []stored{folder("d", 0o41777), file("f", "", 0o106755), highBits},
			map[string]string{"d": "drwxrwxrwx", "f": "-rwxr-xr-x ", "high": "-rwxr-xr-x "}, nil},
		{"parents without entries", []stored{file("a/b/f", "x", 0o644), folder("c/d", 0o711)},
			map[string]string{"a": "drwxr-xr-x", "a/b": "drwxr-xr-x", "a/b/f": "-rw-r--r-- x", "c": "drwxr-xr-x", "c/d": "drwx--x--x"}, nil},
		{"folder after its files", []stored{file("a/f", "x", 0o644), folder("a/", 0o700)},
			map[string]string{"a": "drwx------", "a/f": "-rw-r--r-- x"}, nil},
		{"as tar -c . writes", []stored{folder("./", 0o700), folder("./a//", 0o755), file("./a/./f", "x", 0o644)},
			map[string]string{"a": "drwxr-xr-x", "a/f": "-rw-r--r-- x"}, nil},
		{"last one wins", []stored{file("f", "longer", 0o444), file("f", "x", 0o600), folder("d", 0o755), file("d", "now a file", 0o644)},
			map[string]string{"f": "-rw------- x", "d": "-rw-r--r-- now a file"}, nil},
		{"other kinds", []stored{
			other(tar.TypeSymlink, "link", "/etc"), file("link/f", "x", 0o644), other(tar.TypeLink, "hard", "link/f"),
			other(tar.TypeFifo, "pipe", ""), other(tar.TypeChar, "char", ""), other(tar.TypeBlock, "block", ""),
			{tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "x"}}, ""},
		}, map[string]string{"link": "drwxr-xr-x", "link/f": "-rw-r--r-- x"}, []string{"link", "hard", "pipe", "char", "block"}},
		{"odd names", []stored{file("a\\b", "", 0o644), file("..a", "", 0o644), file("a..", "", 0o644), file("a\nb", "", 0o644), file("\xff", "", 0o644)},
			map[string]string{"a\\b": "-rw-r--r-- ", "..a": "-rw-r--r-- ", "a..": "-rw-r--r-- ", "a\nb": "-rw-r--r-- ", "\xff": "-rw-r--r-- "}, nil},
		{"long names of both kinds", []stored{file(long[len(long)-3:], "", 0o644), gnu, file(strings.Repeat("p", 255), "", 0o644)},
			map[string]string{"d": "drwxr-xr-x", "d/f": "-rw-r--r-- ", gnu.Header.Name: "-rw-r--r-- gnu", strings.Repeat("p", 255): "-rw-r--r-- "}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir, got, err := unpack(t, archive(t, test.entries...), source.DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, tree(t, dir)); diff != "" {
				t.Errorf("tree (-want +got):\n%s", diff)
			}
			if want := (source.Names{Count: len(test.skipped), First: test.skipped}); !cmp.Equal(want, got.Skipped) {
				t.Errorf("skipped %+v, want %+v", got.Skipped, want)
			}
		})
	}
}

func TestUnpackRefuses(t *testing.T) {
	good := archive(t, file("f", noise(1, 10_000), 0o644))
	limits := source.Limits{Bytes: 1 << 20, Files: 100}
	tests := []struct {
		name    string
		archive []byte
		is      error  // nil for any
		want    string // in the text
	}{
		{"nothing", nil, io.ErrUnexpectedEOF, "opening source gzip: unexpected EOF"},
		{"half a gzip header", good[:5], io.ErrUnexpectedEOF, "opening source gzip: unexpected EOF"},
		{"no gzip", []byte("PK\x03\x04 this is a zip file"), nil, "opening source gzip: gzip: invalid header"},
		{"no tar", compress(t, bytes.Repeat([]byte("text "), 1000)), tar.ErrHeader, "read source archive: "},
		{"cut in the file", good[:len(good)/2], io.ErrUnexpectedEOF, `unpack "f": unexpected EOF`},
		{"cut in the checksum", good[:len(good)-1], io.ErrUnexpectedEOF, "read source archive: unexpected EOF"},
		{"wrong checksum", append(good[:len(good)-8:len(good)-8], "checksum"...), nil, "read source archive: gzip: invalid checksum"},
		{"tar cut in the file", compress(t, tarOf(t, good)[:2000]), io.ErrUnexpectedEOF, `unpack "f": unexpected EOF`},
		{"tar cut in a header", compress(t, tarOf(t, good)[:100]), io.ErrUnexpectedEOF, "read source archive: unexpected EOF"},
		{"up", archive(t, file("../f", "", 0o644)), source.ErrEscape, `"../f"`},
		{"up inside", archive(t, file("a/../../f", "", 0o644)), source.ErrEscape, `"a/../../f"`},
		{"up and down", archive(t, file("a/../f", "", 0o644)), source.ErrEscape, `"a/../f"`},
		{"up alone", archive(t, folder("..", 0o755)), source.ErrEscape, `".."`},
		{"absolute", archive(t, file("/etc/f", "", 0o644)), source.ErrEscape, `"/etc/f"`},
		{"absolute link", archive(t, other(tar.TypeSymlink, "/f", "x")), source.ErrEscape, `"/f"`},
		{"file at the top", archive(t, file(".", "", 0o644)), nil, `unpack ".": `},
		{"file below a file", archive(t, file("f", "", 0o644), file("f/g", "", 0o644)), nil, `unpack "f/g": `},
		{"folder in place of a file", archive(t, file("f", "", 0o644), folder("f", 0o755)), nil, `unpack "f": not a directory`},
		{"file in place of a full folder", archive(t, file("d/f", "", 0o644), file("d", "", 0o644)), nil, `unpack "d": `},
		{"long name", archive(t, file(strings.Repeat("d/", 2100)+"f", "", 0o644)), nil, "source is over the limit of 4096 bytes in a name"},
		{"too many files", archive(t, many(101)...), nil, "source is over the limit of 100 files"},
		{"too many parents", archive(t, file(strings.Repeat("d/", 100)+"f", "", 0o644)), nil, "source is over the limit of 100 files"},
		{"too many links", archive(t, many(99, other(tar.TypeSymlink, "a", "b"), other(tar.TypeSymlink, "c", "d"))...), nil, "limit of 100 files"},
		{"too many bytes", archive(t, file("f", strings.Repeat("x", 1<<20+1), 0o644)), nil, "source is over the limit of 1048576 bytes"},
		{"too many bytes with headers", archive(t, file("f", strings.Repeat("x", 1<<20), 0o644)), nil, "source is over the limit of 1048576 bytes"},
		{"too many bytes after the end", compress(t, append(tarOf(t, good), make([]byte, 1<<20)...)), nil, "source is over the limit of 1048576 bytes"},
		{"too many bytes in holes", sparse(t, 1<<40), nil, "source is over the limit of 1048576 bytes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := unpack(t, test.archive, limits)
			if err == nil || !strings.Contains(err.Error(), test.want) || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("Unpack = %v, want %q", err, test.want)
			}
			var limit *source.LimitError
			if strings.Contains(test.want, "limit of") != errors.As(err, &limit) {
				t.Errorf("Unpack = %#v, is it a LimitError?", err)
			}
		})
	}
}

func TestUnpackUpToTheLimits(t *testing.T) {
	packed := archive(t, many(100)...)
	_, got, err := unpack(t, packed, source.Limits{Bytes: int64(len(tarOf(t, packed))), Files: 100})
	if err != nil || got.Files != 100 {
		t.Errorf("Unpack = %+v, %v", got, err)
	}
}

// many are n files, and more.
func many(n int, more ...stored) []stored {
	for i := range n {
		more = append(more, file(strings.Repeat("f", i+1), "", 0o644))
	}
	return more
}

// tarOf is the tar stream in an archive.
func tarOf(t testing.TB, packed []byte) []byte {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sparse is an archive with a file of one byte at the end of a hole, as GNU tar --sparse writes it.
func sparse(t testing.TB, size int64) []byte {
	t.Helper()
	var b bytes.Buffer
	out := tar.NewWriter(&b)
	// Version 1.0 of GNU's format: a map of the data in front of the data.
	content := fmt.Sprintf("1\n%d\n1\n", size-1)
	content += strings.Repeat("\x00", 512-len(content)) + "x"
	h := &tar.Header{Typeflag: tar.TypeReg, Name: "GNUSparseFile.0/hole", Size: int64(len(content)), Mode: 0o644, Format: tar.FormatPAX,
		PAXRecords: map[string]string{"GNUxsparse.major": "1", "GNUxsparse.minor": "0", "GNUxsparse.realsize": fmt.Sprint(size), "GNUxsparse.name": "hole"}}
	if err := out.WriteHeader(h); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(out, content); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	// The writer refuses GNU's records, so they are written under names of the same length.
	return compress(t, bytes.ReplaceAll(b.Bytes(), []byte("GNUxsparse."), []byte("GNU.sparse.")))
}

func TestUnpackIntoAFolderWithLinks(t *testing.T) {
	outside := t.TempDir()
	grow(t, outside, map[string]string{"f": "untouched"})
	dir := t.TempDir()
	grow(t, dir, map[string]string{"d": "-> " + outside, "f": "-> " + filepath.Join(outside, "f")})
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	packed := archive(t, file("f", "replaced", 0o644))
	if _, err := source.Unpack(t.Context(), root, bytes.NewReader(packed), source.DefaultLimits()); err != nil {
		t.Error(err)
	}
	packed = archive(t, file("d/f", "escaped", 0o644))
	if _, err := source.Unpack(t.Context(), root, bytes.NewReader(packed), source.DefaultLimits()); err == nil {
		t.Error("a link was followed")
	}
	if diff := cmp.Diff(map[string]string{"f": "-rw-r--r-- untouched"}, tree(t, outside)); diff != "" {
		t.Errorf("outside (-want +got):\n%s", diff)
	}
	if got := tree(t, dir)["f"]; got != "-rw-r--r-- replaced" {
		t.Errorf("f is %q", got)
	}
}

func TestUnpackCancelled(t *testing.T) {
	errWhy := errors.New("build cancelled")
	packed := archive(t, file("f", noise(1, 1<<20), 0o644))
	ctx, cancel := context.WithCancelCause(t.Context())
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	half := bytes.NewReader(packed[:len(packed)/2])
	r := io.MultiReader(half, readerFunc(func([]byte) (int, error) {
		cancel(errWhy)
		return 0, fs.ErrClosed
	}))
	if _, err := source.Unpack(ctx, root, r, source.DefaultLimits()); err != errWhy {
		t.Errorf("Unpack = %v, want %v", err, errWhy)
	}
	if _, err := source.Unpack(ctx, root, bytes.NewReader(packed), source.DefaultLimits()); err != errWhy {
		t.Errorf("Unpack = %v, want %v", err, errWhy)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
