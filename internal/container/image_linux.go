package container

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/pkg/archive"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// maxTrees is how many unpacked images are kept that no container uses: those
// of the services of the last few releases.
const maxTrees = 8

// unpackPrefix begins the names of trees that are not whole yet.
const unpackPrefix = "unpack-"

// tree is the directory for the files of an image.
func (e *Engine) tree(image v1.Hash) string {
	return filepath.Join(e.root, "images", image.Algorithm+"-"+image.Hex)
}

// unpackOnce unpacks an image if its tree is not there yet.
func (e *Engine) unpackOnce(ctx context.Context, img v1.Image, tree string) error {
	e.unpacking.Lock()
	defer e.unpacking.Unlock()
	err := os.Chtimes(tree, time.Time{}, time.Now()) // the time of its last use
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	all := filepath.Dir(tree)
	if err := os.MkdirAll(all, 0o700); err != nil {
		return err
	}
	part, err := os.MkdirTemp(all, unpackPrefix)
	if err != nil {
		return err
	}
	defer os.RemoveAll(part) // where it was not renamed
	if err := unpack(ctx, img, part); err != nil {
		return err
	}
	if err := os.Rename(part, tree); err != nil {
		return err
	}
	return e.dropTrees(all)
}

// unpack writes the layers of an image into a directory, one over the other.
// containerd's unpacker follows no link out of the directory, and knows
// whiteouts, hard links, devices and attributes.
func unpack(ctx context.Context, img v1.Image, dir string) error {
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	for _, l := range layers {
		if err := unpackLayer(ctx, l, dir); err != nil {
			return err
		}
	}
	return os.Chmod(dir, 0o755)
}

func unpackLayer(ctx context.Context, l v1.Layer, dir string) error {
	r, err := l.Uncompressed()
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := archive.Apply(ctx, dir, r); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r) // the digest is checked at the end of the bytes, behind that of the archive
	return err
}

// dropTrees removes the trees that were not used for longest, down to as many
// as are kept.
func (e *Engine) dropTrees(all string) error {
	entries, err := os.ReadDir(all)
	if err != nil {
		return err
	}
	used := map[string]bool{}
	e.mu.Lock()
	for _, c := range e.held {
		used[c.tree] = true
	}
	e.mu.Unlock()
	var free []os.FileInfo
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && !used[filepath.Join(all, entry.Name())] && !strings.HasPrefix(entry.Name(), unpackPrefix) {
			free = append(free, info)
		}
	}
	slices.SortFunc(free, func(a, b os.FileInfo) int { return cmp.Compare(b.ModTime().UnixNano(), a.ModTime().UnixNano()) })
	for _, info := range free[min(len(free), maxTrees):] {
		err = errors.Join(err, os.RemoveAll(filepath.Join(all, info.Name())))
	}
	return err
}
