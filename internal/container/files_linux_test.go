package container_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/convox-ci/convox-ci/internal/container"
)

// linked makes a container of an image with links to everywhere, whose commands
// belong to ann.
func linked(t *testing.T) *lab {
	t.Helper()
	l := start(t)
	l.images["a"] = image(t, v1.Config{Env: []string{"PATH=/bin"}, User: "ann"}, shell(t, tree{
		"data/file": "old", "absolute": "->/data", "dir/relative": "->../../../data", "etc/link": "->/data/file",
		"outside": "->/proc/self/root", "up": "->../../../../..", "dangling": "->/none/at/all",
	}))
	l.create("one", "a")
	return l
}

// packed makes an archive of entries, whose contents stand in Linkname for files.
func packed(t testing.TB, entries ...tar.Header) io.Reader {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		content := ""
		if h.Typeflag == tar.TypeReg {
			content, h.Linkname = h.Linkname, ""
			h.Size = int64(len(content))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, content)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

func file(name, content string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Linkname: content, Mode: 0o6754, Uid: 7, Gid: 7}
}

func TestUnpackIntoAContainer(t *testing.T) {
	l := linked(t)
	err := l.engine.Unpack("one", packed(t,
		tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "of git"}},
		tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o700},
		file("/new/deep/file", "one\n"), file("data/file", "two\n"), file("absolute/by-link", "three\n"),
		file("/../../up/top", "four\n"), file("dir/relative/sub/x", "five\n"), file("etc/link", "six\n"),
		tar.Header{Typeflag: tar.TypeDir, Name: "new/", Mode: 0o700},
		tar.Header{Typeflag: tar.TypeDir, Name: "own/", Mode: 0o700},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "own/link", Linkname: "/data/by-link"},
		tar.Header{Typeflag: tar.TypeLink, Name: "own/hard", Linkname: "data/file"},
	))
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"cat /new/deep/file /data/file /data/by-link /top /data/sub/x /own/link": "one\ntwo\nthree\nfour\nfive\nthree\n",
		"cat /etc/link; readlink /etc/link; cat /own/hard":                       "six\ntwo\n",
		"ls -ln /new/deep/file | head -c 10; ls -ldn /own | head -c 10":          "-rwxr-xr--drwx------",
		"ls -ln /top; ls -ldn /new; ls -ln /own/link":                            "",
	} {
		out, _ := l.run("one", container.Command{Line: line})
		if want != "" && out != want {
			t.Errorf("%s: %q, want %q", line, out, want)
		}
		for row := range strings.Lines(out) {
			if want == "" && !strings.Contains(row, " 1001 ") {
				t.Errorf("%s: %q does not belong to ann", line, row)
			}
		}
	}
}

// Nothing leads out: what is beside the container's root on this machine stays
// as it is, and cannot be read.
func TestFilesStayInTheContainer(t *testing.T) {
	l := linked(t)
	canary := filepath.Join(t.TempDir(), "canary")
	if err := os.WriteFile(canary, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.engine.Unpack("one", packed(t, tar.Header{Typeflag: tar.TypeLink, Name: "hard", Linkname: canary})); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("hard link to a file of the machine: %v", err)
	}
	for _, name := range []string{canary, "up" + canary, "outside" + canary, strings.Repeat("../", 40) + canary} {
		l.engine.Unpack("one", packed(t, file(name, "theirs")))
		l.engine.Delete("one", []string{name})
		if err := l.engine.Pack("one", name, io.Discard); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("pack %s: %v", name, err)
		}
	}
	err := l.engine.Unpack("one", packed(t,
		tar.Header{Typeflag: tar.TypeSymlink, Name: "away", Linkname: filepath.Dir(canary)}, file("away/canary", "theirs")))
	if err != nil {
		t.Error(err)
	}
	if err := l.engine.Delete("one", []string{"away/canary", "/etc/../away"}); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if data, err := os.ReadFile(canary); err != nil || string(data) != "mine" {
		t.Errorf("the canary is %q, %v", data, err)
	}
}

func TestPackOfAContainer(t *testing.T) {
	l := linked(t)
	l.run("one", container.Command{Line: "true"})
	if err := l.engine.Unpack("one", packed(t, file("data/sub/x", "five"), tar.Header{Typeflag: tar.TypeSymlink, Name: "data/l", Linkname: "/etc/shadow"})); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"/data/file":        "data/file 0 old",
		"data/../etc/link":  "etc/link 0 old",
		"/absolute":         "absolute/ 5 , absolute/file 0 old, absolute/l 2 /etc/shadow, absolute/sub/ 5 , absolute/sub/x 0 five",
		"outside/data/file": "", "dangling": "", "/none": "",
	} {
		var out bytes.Buffer
		err := l.engine.Pack("one", name, &out)
		if want == "" {
			if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrInvalid) && err == nil || out.Len() > 0 {
				t.Errorf("%s: %v after %d bytes", name, err, out.Len())
			}
			continue
		}
		if got := listed(t, &out); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, want)
		}
	}
	if err := l.engine.Pack("none", "/data", io.Discard); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of no container: %v", err)
	}
}

// listed is the entries of an archive, in the order of their names.
func listed(t *testing.T, r io.Reader) string {
	t.Helper()
	var all []string
	in := tar.NewReader(r)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			slices.Sort(all)
			return strings.Join(all, ", ")
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(in)
		if err != nil || h.Uname != "" {
			t.Fatalf("%s of %q: %v", h.Name, h.Uname, err)
		}
		all = append(all, fmt.Sprintf("%s %c %s%s", h.Name, h.Typeflag, h.Linkname, content))
	}
}

// A device in a container is not opened, whatever is on the disk that it stands for.
func TestDevicesAreNotCopied(t *testing.T) {
	l := start(t)
	l.images["a"] = image(t, v1.Config{Env: []string{"PATH=/bin"}}, shell(t, tree{"d/file": "x"}))
	l.create("one", "a")
	if out, status := l.run("one", container.Command{Line: "mknod /d/null c 1 5 && mknod /d/pipe p"}); status != 0 {
		t.Fatal(out)
	}
	var out bytes.Buffer
	if err := l.engine.Pack("one", "/d", &out); err != nil {
		t.Fatal(err)
	}
	if got := listed(t, &out); got != "d/ 5 , d/file 0 x" {
		t.Errorf("packed %s", got)
	}
	err := l.engine.Unpack("one", packed(t, tar.Header{Typeflag: tar.TypeBlock, Name: "disk", Devmajor: 8}))
	if err == nil || err.Error() != `unpack "disk": neither a file, a folder nor a link` {
		t.Error(err)
	}
	for name, into := range map[string]string{"d/null": "d/null", "a folder": "d"} {
		err := l.engine.Unpack("one", packed(t, file(into, "y")))
		if (err == nil) != (into == "d/null") {
			t.Errorf("in the place of %s: %v", name, err)
		}
	}
}

// An archive of a few bytes can hold a file of any size.
func TestUnpackIsBounded(t *testing.T) {
	l := linked(t)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "huge", Size: 8<<30 + 1}); err != nil {
		t.Fatal(err)
	}
	if err := l.engine.Unpack("one", &b); err == nil || err.Error() != "the archive has more than 8589934592 bytes" {
		t.Error(err)
	}
	r, made := io.Pipe()
	go func() {
		w, n := tar.NewWriter(made), 0
		for w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "./"}) == nil {
			n++
		}
	}()
	if err := l.engine.Unpack("one", r); err == nil || err.Error() != "the archive has more than 1000000 entries" {
		t.Error(err)
	}
	r.Close()
}

func TestDeleteInAContainer(t *testing.T) {
	l := linked(t)
	if err := l.engine.Delete("one", []string{"/absolute/file", "none/at/all", "dir", "etc/link"}); err != nil {
		t.Fatal(err)
	}
	if out, _ := l.run("one", container.Command{Line: "ls /data; ls / | cat"}); strings.Contains(out, "file") || strings.Contains(out, "dir") || !strings.Contains(out, "data") {
		t.Errorf("left is %q", out)
	}
	for _, root := range []string{"/", "", "data/.."} {
		if err := l.engine.Delete("one", []string{root}); err == nil || err.Error() != "the root of a container cannot be removed" {
			t.Errorf("%q: %v", root, err)
		}
	}
}

// FuzzUnpackIntoAContainer: whatever an archive holds, nothing beside the root of
// the container changes.
func FuzzUnpackIntoAContainer(f *testing.F) {
	f.Add("a/b", "", byte(tar.TypeReg))
	f.Add("../../x", "/etc", byte(tar.TypeSymlink))
	f.Add("/x/../../y", "../../z", byte(tar.TypeLink))
	dir := f.TempDir()
	canary := filepath.Join(dir, "canary")
	if err := os.WriteFile(canary, []byte("mine"), 0o600); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name, link string, kind byte) {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range []tar.Header{
			{Typeflag: tar.TypeSymlink, Name: "s", Linkname: dir}, {Typeflag: kind, Name: name, Linkname: link}, {Typeflag: tar.TypeReg, Name: name + "/canary"},
			{Typeflag: tar.TypeReg, Name: "s/canary"},
		} {
			if w.WriteHeader(&h) != nil {
				return // no archive can hold it
			}
		}
		root := t.TempDir()
		container.UnpackBelow(root, &b)
		if data, err := os.ReadFile(canary); err != nil || string(data) != "mine" {
			t.Errorf("the canary is %q, %v", data, err)
		}
	})
}
