package container_test

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/convox-ci/convox-ci/internal/container"
)

// TestLayers: later layers hide files of earlier ones, and links of all kinds
// lead to where they do in the container.
func TestLayers(t *testing.T) {
	l := start(t)
	lower := tree{"dir/a": "a", "dir/b": "b", "opaque/old": "old", "file": "lower"}
	upper := tree{"dir/.wh.a": "", "opaque/.wh..wh..opq": "", "opaque/new": "new", "file": "upper", "link": "->/dir/b"}
	hard := []tar.Header{{Name: "hard", Typeflag: tar.TypeLink, Linkname: "dir/b"}}
	l.images["layers"] = image(t, v1.Config{}, shell(t, nil), layer(t, lower.entries(), lower), layer(t, append(upper.entries(), hard...), upper))
	l.create("c1", "layers")
	for command, want := range map[string]string{
		"ls /dir /opaque":                "/dir:\nb\n\n/opaque:\nnew\n",
		"cat /file /link /hard":          "upperbb",
		"test /hard -ef /dir/b; echo $?": "0\n",
	} {
		if got, _ := l.run("c1", container.Command{Line: command}); got != want {
			t.Errorf("%q: %q, want %q", command, got, want)
		}
	}
}

// TestHostileLayers: whatever a layer names, only the tree of its image changes.
func TestHostileLayers(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(outside)
	for name, entries := range map[string][]tar.Header{
		"dots":             {{Name: strings.Repeat("../", 20) + outside, Typeflag: tar.TypeReg, Mode: 0o644}},
		"absolute":         {{Name: outside, Typeflag: tar.TypeReg, Mode: 0o644}},
		"through a link":   {{Name: "out", Typeflag: tar.TypeSymlink, Linkname: dir}, {Name: "out/outside", Typeflag: tar.TypeReg, Mode: 0o644}},
		"over a link":      {{Name: "out", Typeflag: tar.TypeSymlink, Linkname: outside}, {Name: "out", Typeflag: tar.TypeReg, Mode: 0o644}},
		"by a hard link":   {{Name: "out", Typeflag: tar.TypeLink, Linkname: outside}, {Name: "out", Typeflag: tar.TypeReg, Mode: 0o644}},
		"whiteout by dots": {{Name: strings.Repeat("../", 20) + dir + "/.wh.outside", Typeflag: tar.TypeReg}},
		"whiteout by link": {{Name: "out", Typeflag: tar.TypeSymlink, Linkname: dir}, {Name: "out/.wh.outside", Typeflag: tar.TypeReg}},
		"opaque by a link": {{Name: "out", Typeflag: tar.TypeSymlink, Linkname: dir}, {Name: "out/.wh..wh..opq", Typeflag: tar.TypeReg}},
	} {
		l := start(t)
		l.images[name] = image(t, v1.Config{}, layer(t, entries, nil))
		if err := l.engine.Create(t.Context(), "c1", name); err != nil {
			t.Logf("%s: refused: %v", name, err)
		}
		if err := l.engine.Remove("c1"); err != nil {
			t.Error(err)
		}
		if got, err := os.ReadFile(outside); string(got) != "mine" {
			t.Errorf("%s: the file outside is %q, %v", name, got, err)
		}
		if entries, err := os.ReadDir(dir); len(entries) != 1 {
			t.Errorf("%s: outside there are %v, %v", name, entries, err)
		}
	}
}

// TestHostileFiles: what stands where a file is read from outside the container.
func TestHostileFiles(t *testing.T) {
	l := start(t)
	for name, entry := range map[string]tar.Header{
		"/etc/passwd is no file":     {Name: "etc/passwd", Typeflag: tar.TypeFifo, Mode: 0o644},
		"/etc/group: too many links": {Name: "etc/group", Typeflag: tar.TypeSymlink, Linkname: "../../../etc/group"},
	} {
		l.images[name] = image(t, v1.Config{}, layer(t, []tar.Header{entry}, nil))
		if err := l.engine.Create(t.Context(), "c1", name); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %q", err, name)
		}
	}
	l.images["sh"] = image(t, v1.Config{}, layer(t, []tar.Header{{Name: "bin/sh", Typeflag: tar.TypeFifo, Mode: 0o755}}, nil))
	l.create("c1", "sh")
	var out safeBuffer
	status, err := l.engine.Run("c1", container.Command{Line: "/bin/sh", Output: &out})
	if want := "exec /bin/sh: permission denied\n"; err != nil || status != 1 || out.String() != want {
		t.Errorf("a pipe in the place of sh: %d, %v, %q", status, err, out.String())
	}
}

// TestContainersShareTheTree of an image and nothing that they write.
func TestContainersShareTheTree(t *testing.T) {
	l := start(t)
	l.images["one"] = image(t, v1.Config{}, shell(t, nil))
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() { l.create(fmt.Sprintf("c%d", i), "one") })
	}
	all.Wait()
	if trees := l.left("images"); len(trees) != 1 {
		t.Errorf("trees are %q", trees)
	}
	l.run("c0", container.Command{Line: "echo 0 > /mine; echo broken > /bin/cat"})
	if got, _ := l.run("c1", container.Command{Line: "ls / | cat; test -e /mine || echo none"}); !strings.HasSuffix(got, "none\n") {
		t.Errorf("the other sees %q", got)
	}
	if err := l.engine.Remove("c0"); err != nil {
		t.Error(err)
	}
	if got, want := l.left("containers"), []string{"c1", "c2", "c3"}; !slices.Equal(got, want) {
		t.Errorf("left are %q, want %q", got, want)
	}
	if err := l.engine.Remove("c0"); err != nil {
		t.Errorf("a second time: %v", err)
	}
	if _, err := l.engine.Run("c0", container.Command{Line: "true", Output: &safeBuffer{}}); err == nil {
		t.Error("a command runs in a container that was removed")
	}
}

// TestOldTreesAreDropped, but none that a container is made of.
func TestOldTreesAreDropped(t *testing.T) {
	l := start(t)
	for i := range 11 {
		ref := fmt.Sprintf("image%d", i)
		f := tree{"name": ref}
		l.images[ref] = image(t, v1.Config{}, layer(t, f.entries(), f))
	}
	l.create("held", "image0")
	for i := range 10 {
		l.create(fmt.Sprintf("c%d", i), fmt.Sprintf("image%d", i+1))
		if err := l.engine.Remove(fmt.Sprintf("c%d", i)); err != nil {
			t.Error(err)
		}
	}
	names := map[string]bool{}
	for _, dir := range l.left("images") {
		data, err := os.ReadFile(filepath.Join(l.root, "images", dir, "name"))
		if err != nil {
			t.Error(err)
		}
		names[string(data)] = true
	}
	if len(names) != 10 || !names["image0"] || names["image1"] || !names["image2"] {
		t.Errorf("kept are %v", names)
	}
}

func TestCreateFails(t *testing.T) {
	l := start(t)
	if err := l.engine.Create(t.Context(), "c1", "none"); err == nil || err.Error() != "image none: there is none" {
		t.Errorf("no image: %v", err)
	}
	l.images["one"] = image(t, v1.Config{}, shell(t, nil))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.engine.Create(gone, "c1", "one"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if left := append(l.left("images"), l.left("containers")...); len(left) > 0 {
		t.Errorf("left are %q", left)
	}
	t.Setenv("PATH", "")
	if err := l.engine.Create(t.Context(), "c1", "one"); !errors.Is(err, container.ErrUnsupported) || !strings.Contains(err.Error(), "runc") {
		t.Errorf("without runc: %v", err)
	}
}

// TestSweep after an engine whose process was killed, with a command under way.
func TestSweep(t *testing.T) {
	l := start(t)
	l.images["shell"] = image(t, v1.Config{}, shell(t, nil))
	if err := l.engine.Create(t.Context(), "c1", "shell"); err != nil {
		t.Fatal(err)
	}
	out, ended := lines(make(chan string, 10)), make(chan int, 1)
	go func() {
		status, _ := l.engine.Run("c1", container.Command{Line: "{ readlink /proc/1/ns/pid; cat /dev/zero; } & wait", Output: out})
		ended <- status
	}()
	space, _, _ := strings.Cut(<-out, "\n") // what follows may come with it
	if len(inSpace(t, space)) < 2 {
		t.Error("the command does not run")
	}
	if err := os.Mkdir(filepath.Join(l.root, "images", "unpack-1"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := container.Sweep(l.root); err != nil {
		t.Error(err)
	}
	if status := <-ended; status != 137 {
		t.Errorf("the command ended with %d", status)
	}
	if left := inSpace(t, space); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || strings.Contains(string(mounts), l.root) {
		t.Errorf("something is still mounted, %v", err)
	}
	if left := append(l.left("containers"), l.left("runc")...); len(left) > 0 || len(l.left("images")) != 1 {
		t.Errorf("left are %q, %q", left, l.left("images"))
	}
	if err := container.Sweep(l.root); err != nil {
		t.Errorf("a second time: %v", err)
	}
	if err := container.Sweep(filepath.Join(l.root, "none")); err != nil {
		t.Errorf("where nothing ever was: %v", err)
	}
	l.create("c1", "shell")
}

// lines is a writer that hands on what it gets as long as there is room.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	select {
	case l <- string(p):
	default:
	}
	return len(p), nil
}

// inSpace lists the processes of a PID namespace, without those that are dead
// and only wait for somebody to ask how they ended.
func inSpace(t *testing.T, space string) []string {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(dir string) bool {
		got, _ := os.Readlink(filepath.Join(dir, "ns", "pid"))
		status, _ := os.ReadFile(filepath.Join(dir, "status")) // of one that is gone by now there is neither
		return got != space || strings.Contains(string(status), "\nState:\tZ")
	})
}
