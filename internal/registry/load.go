package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// Faults of archives, in the words of a v2 rack.
var (
	errNoManifest = errors.New("unable to locate manifest")
	errNoImages   = errors.New("invalid image manifest: no data")
)

// Load reads an archive of images to its end and keeps its blobs in dir, which
// is its own and must be there. It takes what "docker save" has written since
// Docker 1.10, and an OCI image layout. names are those of the images, the one
// of an OCI archive without Docker's manifest is "". push copies images to
// registries: refs says where to by the name in the archive.
//
// An image that has a manifest in the archive keeps its digest. Of others the
// layers are compressed, as Docker does it at a push. Nothing that an archive
// says leads out of dir, and blobs are what their names say, or the archive is
// refused.
func (c *Client) Load(ctx context.Context, archive io.Reader, dir string) (names []string, push func(refs map[string]string) error, err error) {
	u := &unpacked{dir: dir, files: map[string]v1.Descriptor{}, links: map[string]string{}, layers: map[v1.Hash]v1.Descriptor{}}
	if err := u.unpack(ctx, archive); err != nil {
		return nil, nil, err
	}
	images, err := u.images()
	if err != nil {
		return nil, nil, err
	}
	l, err := u.layout(images)
	if err != nil {
		return nil, nil, err
	}
	push = func(refs map[string]string) error {
		for _, as := range slices.Sorted(maps.Keys(refs)) {
			if err := c.pushFrom(ctx, l, images[as].Digest, refs[as]); err != nil {
				return fmt.Errorf("push %s: %w", refs[as], err)
			}
		}
		return nil
	}
	return slices.Sorted(maps.Keys(images)), push, nil
}

func (c *Client) pushFrom(ctx context.Context, l v1.ImageIndex, digest v1.Hash, ref string) error {
	img, err := l.Image(digest)
	if err != nil {
		return err
	}
	r, err := c.parse(ref)
	if err != nil {
		return err
	}
	return c.write(ctx, r, img)
}

// layout makes the directory of the blobs an image layout.
func (u *unpacked) layout(images map[string]v1.Descriptor) (v1.ImageIndex, error) {
	p, err := layout.Write(u.dir, empty.Index)
	if err != nil {
		return nil, err
	}
	for _, d := range images {
		if err := p.AppendDescriptor(d); err != nil {
			return nil, err
		}
	}
	return p.ImageIndex()
}

// images finds the images of an archive, by name. Their manifests are among the
// blobs when it returns.
func (u *unpacked) images() (map[string]v1.Descriptor, error) {
	originals, err := u.originals()
	if err != nil {
		return nil, err
	}
	if _, ok := u.find(dockerManifest); !ok {
		d, err := theImage(originals)
		return map[string]v1.Descriptor{"": d}, err
	}
	var listed []dockerImage
	if err := u.decode(dockerManifest, &listed); err != nil {
		return nil, fmt.Errorf("invalid image manifest: %w", err)
	}
	images := map[string]v1.Descriptor{}
	for _, i := range listed {
		d, ok := u.original(i, originals)
		if !ok {
			if d, err = u.assemble(i); err != nil {
				return nil, err
			}
		}
		for _, tag := range i.RepoTags {
			images[tag] = d
		}
	}
	if len(images) == 0 {
		return nil, errNoImages
	}
	return images, nil
}

// theImage is the only image of a layout; of one with several it is that for
// this machine.
func theImage(originals []original) (v1.Descriptor, error) {
	switch len(originals) {
	case 0:
		return v1.Descriptor{}, errNoManifest
	case 1:
		return originals[0].Descriptor, nil
	}
	for _, o := range originals {
		if o.Platform != nil && o.Platform.Satisfies(platform()) {
			return o.Descriptor, nil
		}
	}
	return v1.Descriptor{}, fmt.Errorf("no image for %s among %d", platform(), len(originals))
}
