//go:build linux

package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// baseSize is what the layer of the base image weighs, in bytes that do not compress:
// about as much as published ones of languages do.
const baseSize = 50_000_000

// The folders of the source, and what of Go's source stands for each: packages of
// others, and what is the app's own.
var folders = map[string][]string{
	"vendor": {"cmd/vendor"},
	"app":    {"net"},
}

// dockerfile has the packages in a layer of their own, as one is advised to, and a step
// that makes of the app what is served.
const dockerfile = `FROM %s/base:1
COPY vendor /app/vendor
COPY app /app/app
RUN ["/bin/busybox", "sh", "-c", "cd /app && busybox tar -c app | busybox gzip > bundle.tgz"]
`

// shop is the app that is built.
type shop struct {
	dir     string
	files   int
	bytes   int64
	changes int
}

// newShop lays out the source.
func newShop(ctx context.Context, dir, base string) (*shop, error) {
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOROOT: %w", err)
	}
	s := &shop{dir: dir}
	for folder, parts := range folders {
		for _, part := range parts {
			if err := os.CopyFS(filepath.Join(dir, folder, part), os.DirFS(filepath.Join(strings.TrimSpace(string(root)), "src", part))); err != nil {
				return nil, err
			}
		}
	}
	err = errors.Join(
		os.WriteFile(filepath.Join(dir, "convox.yml"), []byte("services:\n  web:\n    build: .\n    command: busybox true\n"), 0o600),
		os.WriteFile(filepath.Join(dir, "Dockerfile"), fmt.Appendf(nil, dockerfile, base), 0o600),
		s.change(),
	)
	if err != nil {
		return nil, err
	}
	return s, filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			s.files++
			s.bytes += info.Size()
		}
		return err
	})
}

// change changes one file of the app.
func (s *shop) change() error {
	s.changes++
	return os.WriteFile(filepath.Join(s.dir, "app", "version.go"), fmt.Appendf(nil, "package app\n\nconst Version = %04d\n", s.changes), 0o600)
}

// serveBase serves the base image here and there, at the same address. Nothing slows
// this: it stands for a public registry, which is near to both.
func serveBase(i *island) (host string, stop func(), err error) {
	here, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	host = here.Addr().String()
	server := &http.Server{Handler: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
	stop = func() { server.Close() }
	go server.Serve(here) // ends with Close
	var there net.Listener
	err = i.do(func() (err error) { there, err = net.Listen("tcp", host); return err })
	if err == nil {
		go server.Serve(there)
		err = pushBase(host)
	}
	if err != nil {
		stop()
	}
	return host, stop, err
}

// pushBase makes the base image: busybox, and what else there is in one.
func pushBase(host string) error {
	path, err := exec.LookPath("busybox")
	if err != nil {
		return fmt.Errorf("%w; on Debian and Ubuntu: apt-get install busybox-static", err)
	}
	busybox, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	rest := make([]byte, baseSize)
	rand.NewChaCha8([32]byte{}).Read(rest)
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	for name, data := range map[string][]byte{"bin/busybox": busybox, "usr/lib/rest": rest} {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(data))}); err != nil {
			return err
		}
		w.Write(data) // into memory
	}
	if err := w.Close(); err != nil {
		return err
	}
	packed, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		return err
	}
	image, err := mutate.AppendLayers(empty.Image, packed)
	if err != nil {
		return err
	}
	made, err := image.ConfigFile()
	if err != nil {
		return err
	}
	made.OS, made.Architecture, made.Config.Env = "linux", runtime.GOARCH, []string{"PATH=/bin"}
	if image, err = mutate.ConfigFile(image, made); err != nil {
		return err
	}
	ref, err := name.ParseReference(host+"/base:1", name.Insecure)
	if err != nil {
		return err
	}
	return remote.Write(ref, image)
}
