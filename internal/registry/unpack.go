package registry

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	maxFiles    = 100_000 // of one archive; an image has at most 127 layers of 3 files each
	maxMetadata = 4 << 20 // bytes of a file that is read whole: what the registry takes as a manifest
	maxLinks    = 8       // that lead to one file; Docker makes no more than one
)

// unpacked is an archive on the disk. Each file of it is kept under the digest
// of its contents and under no name of the archive's.
type unpacked struct {
	dir    string
	files  map[string]v1.Descriptor  // by name; digest and size
	links  map[string]string         // old versions of Docker make them of layers that images share
	layers map[v1.Hash]v1.Descriptor // what was made of plain layers, by their digest
}

func (u *unpacked) unpack(ctx context.Context, archive io.Reader) error {
	if err := os.MkdirAll(filepath.Join(u.dir, "blobs", "sha256"), 0o700); err != nil {
		return err
	}
	in := tar.NewReader(archive)
	for n := 0; ; n++ {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if n == maxFiles {
			return fmt.Errorf("image archive is over the limit of %d files", maxFiles)
		}
		if err := u.entry(h, in); err != nil {
			return err
		}
	}
}

func (u *unpacked) entry(h *tar.Header, in io.Reader) error {
	as := path.Clean(h.Name)
	switch h.Typeflag {
	case tar.TypeSymlink:
		u.links[as] = path.Join(path.Dir(as), h.Linkname)
	case tar.TypeLink:
		u.links[as] = path.Clean(h.Linkname)
	case tar.TypeReg:
		if isSparse(h) {
			return fmt.Errorf("%.80q is a sparse file", as)
		}
		d, err := u.keep(in)
		if err != nil {
			return err
		}
		if want, ok := strings.CutPrefix(as, blobFolder); ok && want != d.Digest.Hex {
			return fmt.Errorf("blob %.80q is not what its name says", want)
		}
		u.files[as] = d
	}
	return nil
}

// isSparse tells whether a file has holes, which no program makes that writes
// images: a few bytes of it could fill the disk.
func isSparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// keep stores bytes under their digest.
func (u *unpacked) keep(r io.Reader) (d v1.Descriptor, err error) {
	f, err := os.CreateTemp(u.dir, "blob")
	if err != nil {
		return d, err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err == nil {
			err = os.Rename(f.Name(), u.blob(d.Digest))
		}
	}()
	sum := sha256.New()
	d.Size, err = io.Copy(io.MultiWriter(f, sum), r)
	d.Digest = v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum.Sum(nil))}
	return d, err
}

// blob is where the blob of a digest is, which must be one of ours.
func (u *unpacked) blob(digest v1.Hash) string {
	return filepath.Join(u.dir, "blobs", "sha256", digest.Hex)
}

// find finds a file by its name in the archive.
func (u *unpacked) find(as string) (v1.Descriptor, bool) {
	as = path.Clean(as)
	for range maxLinks {
		if d, ok := u.files[as]; ok {
			return d, true
		}
		to, ok := u.links[as]
		if !ok {
			break
		}
		as = to
	}
	return v1.Descriptor{}, false
}

// decode reads the JSON of a file, whose size is bounded.
func (u *unpacked) decode(as string, v any) error {
	d, ok := u.find(as)
	if !ok {
		return fmt.Errorf("there is no %.80q", as)
	}
	if d.Size > maxMetadata {
		return fmt.Errorf("%.80q is over the limit of %d bytes", as, maxMetadata)
	}
	data, err := os.ReadFile(u.blob(d.Digest))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%.80q: %w", as, err)
	}
	return nil
}
