package registry

import (
	"archive/tar"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// The files of an archive besides its blobs, and where those are. The first is
// what "docker load" has read since Docker 1.10, the others are those of an OCI
// image layout:
// https://github.com/opencontainers/image-spec/blob/main/image-layout.md
const (
	dockerManifest = "manifest.json"
	layoutMark     = "oci-layout"
	layoutIndex    = "index.json"
	blobFolder     = "blobs/sha256/"
)

// dockerImage is an element of the manifest of a Docker archive.
type dockerImage struct {
	Config   string   // file
	RepoTags []string // names of the image
	Layers   []string // files, the lowest layer first
}

// Save looks images up for an archive as today's "docker save" writes it: one
// for "docker load", and an OCI image layout at the same time, so that the
// digests of the images are not lost. refs says by the name in the archive where
// an image is; a blob that several have is in it once. size is the length of the
// archive in bytes. Equal images under equal names give equal bytes.
//
// An image that is not there is an error now; write fails when a blob does not
// come whole, and must not be called after ctx has ended.
func (c *Client) Save(ctx context.Context, refs map[string]string) (size int64, write func(io.Writer) error, err error) {
	return c.save(ctx, refs, func(ref string) (v1.Image, error) {
		r, err := c.parse(ref)
		if err != nil {
			return nil, err
		}
		return remote.Image(r, append(c.options(ctx), remote.WithPlatform(platform()))...)
	})
}

// SaveLayouts is [Client.Save] for images that are in OCI image layouts, of one
// image each: layouts says by the name in the archive in which directory.
func (c *Client) SaveLayouts(ctx context.Context, layouts map[string]string) (size int64, write func(io.Writer) error, err error) {
	return c.save(ctx, layouts, only)
}

func (c *Client) save(ctx context.Context, from map[string]string, open func(string) (v1.Image, error)) (size int64, write func(io.Writer) error, err error) {
	s := saving{known: map[v1.Hash]bool{}}
	for _, as := range slices.Sorted(maps.Keys(from)) {
		if err := s.image(as, from[as], open); err != nil {
			return 0, nil, fmt.Errorf("image %s: %w", as, c.plain(ctx, err))
		}
	}
	if err := s.finish(); err != nil {
		return 0, nil, err
	}
	return s.size(), func(w io.Writer) error { return c.plain(ctx, s.write(w)) }, nil
}

// saving is an archive before it is written.
type saving struct {
	entries []savedEntry
	known   map[v1.Hash]bool // blobs among the entries
	images  []dockerImage
	index   []v1.Descriptor
}

// savedEntry is a file of the archive.
type savedEntry struct {
	name string
	size int64
	open func() (io.ReadCloser, error)
}

func (s *saving) image(as, from string, open func(string) (v1.Image, error)) error {
	tag, err := name.NewTag(as)
	if err != nil {
		return err
	}
	img, err := open(from)
	if err != nil {
		return err
	}
	if err := s.addBlobs(img); err != nil {
		return err
	}
	return s.addNames(img, tag)
}

// addBlobs adds what an image is made of, layers first.
func (s *saving) addBlobs(img v1.Image) error {
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	for _, l := range layers {
		if err := s.addLayer(l); err != nil {
			return err
		}
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return err
	}
	manifest, err := img.RawManifest()
	if err != nil {
		return err
	}
	for _, blob := range [][]byte{config, manifest} {
		digest, size, err := v1.SHA256(strings.NewReader(string(blob)))
		if err != nil {
			return err
		}
		s.add(digest, size, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(string(blob))), nil })
	}
	return nil
}

func (s *saving) addLayer(l v1.Layer) error {
	digest, err := l.Digest()
	if err != nil || s.known[digest] {
		return err
	}
	size, err := l.Size()
	if err != nil {
		return err
	}
	there, err := partial.Exists(l)
	if err == nil && !there {
		err = fmt.Errorf("%w: layer %s", ErrNotFound, digest)
	}
	if err != nil {
		return err
	}
	s.add(digest, size, l.Compressed)
	return nil
}

// add adds a blob, once.
func (s *saving) add(digest v1.Hash, size int64, open func() (io.ReadCloser, error)) {
	if !s.known[digest] {
		s.known[digest] = true
		s.entries = append(s.entries, savedEntry{blobFolder + digest.Hex, size, open})
	}
}

// addNames adds an image to both lists of images.
func (s *saving) addNames(img v1.Image, tag name.Tag) error {
	manifest, err := img.Manifest()
	if err != nil {
		return err
	}
	descriptor, err := partial.Descriptor(img)
	if err != nil {
		return err
	}
	descriptor.Annotations = map[string]string{ // as containerd and Docker find them
		"io.containerd.image.name":          strings.Replace(tag.Name(), name.DefaultRegistry+"/", "docker.io/", 1),
		"org.opencontainers.image.ref.name": tag.TagStr(),
	}
	s.index = append(s.index, *descriptor)
	d := dockerImage{Config: blobFolder + manifest.Config.Digest.Hex, RepoTags: []string{tag.String()}}
	for _, l := range manifest.Layers {
		d.Layers = append(d.Layers, blobFolder+l.Digest.Hex)
	}
	s.images = append(s.images, d)
	return nil
}

// finish adds the files that say what the blobs are.
func (s *saving) finish() error {
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: s.index}
	mark := map[string]string{"imageLayoutVersion": "1.0.0"}
	for _, f := range []struct {
		name  string
		value any
	}{{layoutIndex, index}, {dockerManifest, s.images}, {layoutMark, mark}} {
		data, err := json.Marshal(f.value)
		if err != nil {
			return err
		}
		s.entries = append(s.entries, savedEntry{f.name, int64(len(data)), func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(string(data))), nil
		}})
	}
	return nil
}

// block is the unit of a tar stream, in bytes: a header is one, contents are
// filled up to whole ones, and two end it.
const block = 512

func (s *saving) size() int64 {
	total := int64(2 * block)
	for _, e := range s.entries {
		total += block + (e.size+block-1)/block*block
	}
	return total
}

func (s *saving) write(w io.Writer) error {
	to := tar.NewWriter(w)
	for _, e := range s.entries {
		// Of the formats, GNU's has a header of one block for files of any size.
		if err := to.WriteHeader(&tar.Header{Name: e.name, Mode: 0o644, Size: e.size, Format: tar.FormatGNU}); err != nil {
			return err
		}
		if err := copyBlob(to, e); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
	}
	return to.Close()
}

// copyBlob copies contents, which the registry's client compares with their
// digest.
func copyBlob(to io.Writer, e savedEntry) error {
	from, err := e.open()
	if err != nil {
		return err
	}
	defer from.Close()
	_, err = io.Copy(to, from)
	return err
}
