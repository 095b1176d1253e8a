// Command seed puts the image that the example app takes as it is into a
// registry: a single static program, so that nothing has to be fetched.
package main

import (
	"archive/tar"
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func main() {
	program := flag.String("program", "", "static program of the image")
	to := flag.String("to", "", "reference of the image")
	password := flag.String("password", "", "password of the registry")
	flag.Parse()
	if err := seed(*program, *to, *password); err != nil {
		fmt.Fprintln(os.Stderr, "seed:", err)
		os.Exit(1)
	}
}

func seed(program, to, password string) error {
	ref, err := name.ParseReference(to)
	if err != nil {
		return err
	}
	layer, err := layerOf(program)
	if err != nil {
		return err
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return err
	}
	img, err = mutate.ConfigFile(img, &v1.ConfigFile{
		OS: "linux", Architecture: runtime.GOARCH, RootFS: rootFS(layer),
		Config: v1.Config{Cmd: []string{"/program"}},
	})
	if err != nil {
		return err
	}
	return remote.Write(ref, img, remote.WithAuth(&authn.Basic{Username: "convox", Password: password}))
}

// layerOf is a layer with one file.
func layerOf(program string) (v1.Layer, error) {
	data, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "program", Mode: 0o755, Size: int64(len(data))}); err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
}

func rootFS(l v1.Layer) v1.RootFS {
	id, err := l.DiffID()
	if err != nil {
		return v1.RootFS{Type: "layers"}
	}
	return v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{id}}
}
