package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/rogpeppe/go-internal/testscript"
)

const imageUsage = "usage: image tags REPOSITORY | cat REFERENCE FILE | digest REFERENCE | config REFERENCE | [!] push REFERENCE TEXT [PASSWORD]"

// imageCommand asks a registry, without the rack and as any other client does,
// and prints what it says. push makes an image with one file, /text.
func imageCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf(imageUsage)
	}
	var out string
	var err error
	switch verb, rest := args[0], args[1:]; {
	case verb == "tags" && len(rest) == 1:
		out, err = tags(rest[0])
	case verb == "cat" && len(rest) == 2:
		out, err = fileOf(rest[0], rest[1])
	case verb == "digest" && len(rest) == 1:
		out, err = digest(rest[0])
	case verb == "config" && len(rest) == 1:
		out, err = config(rest[0])
	case verb == "push" && (len(rest) == 2 || len(rest) == 3):
		err = push(rest[0], rest[1], strings.Join(rest[2:], ""))
	default:
		ts.Fatalf(imageUsage)
	}
	switch {
	case neg && err == nil:
		ts.Fatalf("it was not refused")
	case neg:
		io.WriteString(ts.Stderr(), err.Error()+"\n")
	default:
		ts.Check(err)
		io.WriteString(ts.Stdout(), out)
	}
}

func tags(repository string) (string, error) {
	r, err := name.NewRepository(repository)
	if err != nil {
		return "", err
	}
	list, err := remote.List(r)
	slices.Sort(list)
	return strings.Join(list, "\n") + "\n", err
}

func pull(reference string) (v1.Image, error) {
	r, err := name.ParseReference(reference)
	if err != nil {
		return nil, err
	}
	return remote.Image(r)
}

func digest(reference string) (string, error) {
	i, err := pull(reference)
	if err != nil {
		return "", err
	}
	d, err := i.Digest()
	return d.String() + "\n", err
}

func config(reference string) (string, error) {
	i, err := pull(reference)
	if err != nil {
		return "", err
	}
	c, err := i.RawConfigFile()
	return string(c) + "\n", err
}

// fileOf reads a file of an image, from all of its layers.
func fileOf(reference, path string) (string, error) {
	i, err := pull(reference)
	if err != nil {
		return "", err
	}
	layers := mutate.Extract(i)
	defer layers.Close()
	for files := tar.NewReader(layers); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return "", errors.New(reference + " has no " + path)
		}
		if err != nil {
			return "", err
		}
		if strings.Trim(h.Name, "./") == strings.Trim(path, "/") {
			data, err := io.ReadAll(files)
			return string(data), err
		}
	}
}

func push(reference, text, password string) error {
	r, err := name.ParseReference(reference)
	if err != nil {
		return err
	}
	var files bytes.Buffer
	w := tar.NewWriter(&files)
	err = w.WriteHeader(&tar.Header{Name: "text", Mode: 0o644, Size: int64(len(text))})
	_, written := io.WriteString(w, text)
	if err := errors.Join(err, written, w.Close()); err != nil {
		return err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files.Bytes())), nil })
	if err != nil {
		return err
	}
	i, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: runtime.GOARCH})
	if err != nil {
		return err
	}
	if i, err = mutate.AppendLayers(i, layer); err != nil {
		return err
	}
	auth := authn.Anonymous
	if password != "" {
		auth = &authn.Basic{Username: "convox", Password: password}
	}
	return remote.Write(r, i, remote.WithAuth(auth))
}
