package registry

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
)

// original is an image that has a manifest in the archive.
type original struct {
	v1.Descriptor
	manifest v1.Manifest
}

// maxNesting is how deep indexes of images may be in one another: that of the
// layout, and that of an image for several platforms.
const maxNesting = 3

// originals finds the images with a manifest, all of whose blobs are there. A
// manifest that lacks some says nothing: "docker save" writes those of other
// platforms too.
func (u *unpacked) originals() ([]original, error) {
	if _, ok := u.find(layoutIndex); !ok {
		return nil, nil
	}
	return u.indexed(layoutIndex, maxNesting)
}

func (u *unpacked) indexed(file string, nesting int) (found []original, err error) {
	var index v1.IndexManifest
	if err := u.decode(file, &index); err != nil {
		return nil, err
	}
	for _, d := range index.Manifests {
		blob := blobFolder + d.Digest.Hex
		is, ok := u.find(blob)
		if !ok || d.Digest.Algorithm != "sha256" || is.Size != d.Size || len(found) == maxFiles {
			continue
		}
		switch {
		case d.MediaType.IsIndex() && nesting > 1:
			below, err := u.indexed(blob, nesting-1)
			if err != nil {
				return nil, err
			}
			found = append(found, below...)
		case d.MediaType.IsImage():
			o := original{Descriptor: v1.Descriptor{MediaType: d.MediaType, Size: d.Size, Digest: d.Digest, Platform: d.Platform}}
			if err := u.decode(blob, &o.manifest); err != nil {
				return nil, err
			}
			if u.whole(o.manifest) {
				found = append(found, o)
			}
		}
	}
	return found, nil
}

// whole tells whether an image can be pushed as its manifest says. What vouches
// for an image has the form of one, and is none.
func (u *unpacked) whole(m v1.Manifest) bool {
	if !m.Config.MediaType.IsConfig() || m.Config.Size > maxMetadata {
		return false
	}
	return !slices.ContainsFunc(append([]v1.Descriptor{m.Config}, m.Layers...), func(d v1.Descriptor) bool {
		is, ok := u.find(blobFolder + d.Digest.Hex)
		return !ok || d.Digest.Algorithm != "sha256" || is.Size != d.Size || d.MediaType == inToto
	})
}

// inToto is the layer of what vouches for an image:
// https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md
const inToto = "application/vnd.in-toto+json"

// original finds the manifest of an image that Docker lists: the one of just its
// configuration and layers.
func (u *unpacked) original(i dockerImage, among []original) (v1.Descriptor, bool) {
	same := func(file string, d v1.Descriptor) bool {
		f, ok := u.find(file)
		return ok && f.Digest == d.Digest
	}
	at := slices.IndexFunc(among, func(o original) bool {
		return same(i.Config, o.manifest.Config) && slices.EqualFunc(i.Layers, o.manifest.Layers, same)
	})
	if at < 0 {
		return v1.Descriptor{}, false
	}
	return among[at].Descriptor, true
}

// assemble makes the manifest of an image that has none.
func (u *unpacked) assemble(i dockerImage) (v1.Descriptor, error) {
	var config v1.ConfigFile
	if err := u.decode(i.Config, &config); err != nil {
		return v1.Descriptor{}, err
	}
	if len(config.RootFS.DiffIDs) != len(i.Layers) {
		return v1.Descriptor{}, fmt.Errorf("%.80q names %d layers, the image has %d", i.Config, len(config.RootFS.DiffIDs), len(i.Layers))
	}
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.DockerManifestSchema2}
	m.Config, _ = u.find(i.Config)
	m.Config.MediaType = types.DockerConfigJSON
	for n, file := range i.Layers {
		d, err := u.layer(file, config.RootFS.DiffIDs[n])
		if err != nil {
			return v1.Descriptor{}, fmt.Errorf("layer %.80q: %w", file, err)
		}
		m.Layers = append(m.Layers, d)
	}
	data, err := json.Marshal(m)
	if err != nil {
		return v1.Descriptor{}, err
	}
	d, err := u.keep(bytes.NewReader(data))
	d.MediaType = m.MediaType
	return d, err
}

var errNotTheLayer = errors.New("it is not the one that the configuration of the image names")

// layer gives a layer in its compressed form, the contents of which are what the
// configuration of the image says.
func (u *unpacked) layer(file string, contents v1.Hash) (v1.Descriptor, error) {
	d, ok := u.find(file)
	if !ok {
		return d, errors.New("it is missing")
	}
	f, err := os.Open(u.blob(d.Digest))
	if err != nil {
		return d, err
	}
	defer f.Close()
	in := bufio.NewReader(f)
	if head, _ := in.Peek(2); string(head) != "\x1f\x8b" { // RFC 1952, section 2.3.1
		if d.Digest != contents {
			return d, errNotTheLayer
		}
		return u.compressed(d.Digest, in)
	}
	zip, err := gzip.NewReader(in)
	if err != nil {
		return d, err
	}
	is, _, err := v1.SHA256(zip)
	if err == nil && is != contents {
		err = errNotTheLayer
	}
	d.MediaType = types.DockerLayer
	return d, err
}

// compressed keeps a plain layer in its compressed form, which images share.
func (u *unpacked) compressed(contents v1.Hash, layer io.Reader) (v1.Descriptor, error) {
	if d, ok := u.layers[contents]; ok {
		return d, nil
	}
	r, w := io.Pipe()
	go func() {
		zip := gzip.NewWriter(w)
		_, err := io.Copy(zip, layer)
		w.CloseWithError(errors.Join(err, zip.Close()))
	}()
	defer r.Close() // ends the other side if the disk is full
	d, err := u.keep(r)
	d.MediaType = types.DockerLayer
	u.layers[contents] = d
	return d, err
}
