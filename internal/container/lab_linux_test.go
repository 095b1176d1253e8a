package container_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/convox-ci/convox-ci/internal/container"
	"github.com/convox-ci/convox-ci/internal/enginetest"
)

// lab is an engine with images that the test makes.
type lab struct {
	*testing.T
	engine *container.Engine
	root   string
	images map[string]v1.Image // by reference
}

func start(t *testing.T) *lab {
	t.Helper()
	l := &lab{T: t, root: t.TempDir(), images: map[string]v1.Image{}}
	l.engine = container.New(l.root, func(_ context.Context, ref string) (v1.Image, error) {
		img, ok := l.images[ref]
		if !ok {
			return nil, errors.New("there is none")
		}
		return img, nil
	})
	return l
}

// create makes a container of an image that is removed with the test.
func (l *lab) create(id, ref string) {
	l.Helper()
	if err := l.engine.Create(l.Context(), id, ref); err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() {
		if err := l.engine.Remove(id); err != nil {
			l.Error(err)
		}
	})
}

// run runs a command and wants it to be started.
func (l *lab) run(id string, c container.Command) (string, int) {
	l.Helper()
	var out safeBuffer
	c.Output = &out
	status, err := l.engine.Run(id, c)
	if err != nil {
		l.Fatalf("%q: %v, after %q", c.Line, err, out.String())
	}
	return out.String(), status
}

// safeBuffer may be looked at while it is written.
type safeBuffer struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}

// tree is the files of a layer: contents by name. A name that ends with a slash
// is a directory; contents that begin with -> a symbolic link.
type tree map[string]string

func (f tree) entries() []tar.Header {
	var all []tar.Header
	for _, name := range slices.Sorted(maps.Keys(f)) {
		h := tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(f[name]))}
		if target, ok := strings.CutPrefix(f[name], "->"); ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, target, 0
		} else if strings.HasSuffix(name, "/") {
			h.Typeflag = tar.TypeDir
		}
		all = append(all, h)
	}
	return all
}

// layer packs entries, whose contents stand in files by name.
func layer(t testing.TB, entries []tar.Header, files tree) v1.Layer {
	t.Helper()
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	for _, h := range entries {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, files[h.Name]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// image makes an image of layers.
func image(t testing.TB, c v1.Config, layers ...v1.Layer) v1.Image {
	t.Helper()
	img, err := mutate.AppendLayers(empty.Image, layers...)
	if err == nil {
		img, err = mutate.Config(img, c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// shell is the files of an image with a shell, in a layer.
func shell(t testing.TB, more tree) v1.Layer {
	t.Helper()
	f := tree{"bin/busybox": busybox(t), "etc/passwd": "root:x:0:0::/root:/bin/sh\nann:x:1001:1002::/home/ann:/bin/sh\n", "etc/group": "root:x:0:\nann:x:1002:\nmore:x:1003:ann\n"}
	for _, name := range strings.Fields("sh cat echo env id kill pwd readlink seq sleep test touch stty tty hostname ls head mknod") {
		f["bin/"+name] = "->/bin/busybox" // from the root of the image
	}
	maps.Copy(f, more)
	return layer(t, f.entries(), f)
}

// busybox is a static program that is a shell and others.
func busybox(t testing.TB) string {
	t.Helper()
	data, err := enginetest.Busybox()
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// left lists what an engine has in a directory of its root.
func (l *lab) left(dir string) []string {
	l.Helper()
	entries, err := os.ReadDir(filepath.Join(l.root, dir))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		l.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
