// Package entry puts a program into images and before their entry points.
package entry

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/match"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"

	"github.com/convox-ci/convox-ci/internal/image"
)

// Wrapper puts one program into images.
type Wrapper struct {
	// Programs gives the program for Linux and an architecture, by Go's name of
	// that: one that needs no file of the image. An error that is
	// [image.ErrNoProgram] says that there is none.
	Programs func(architecture string) ([]byte, error)

	mu     sync.Mutex
	layers map[string]*layer // by architecture
}

var _ image.Wrapper = (*Wrapper)(nil)

// layer is a layer with the program in it, packed.
type layer struct {
	packed         []byte
	digest, diffID v1.Hash
}

// Entrypoint implements [image.Wrapper].
func (w *Wrapper) Entrypoint(dir string) ([]string, error) {
	s, err := open(dir)
	if err != nil {
		return nil, err
	}
	config, err := v1.ParseConfigFile(bytes.NewReader(s.config))
	if err != nil {
		return nil, err
	}
	return config.Config.Entrypoint, nil
}

// Wrap implements [image.Wrapper].
func (w *Wrapper) Wrap(dir string) error {
	s, err := open(dir)
	if err != nil {
		return err
	}
	var of struct{ Architecture string }
	if err := json.Unmarshal(s.config, &of); err != nil {
		return fmt.Errorf("configuration of the image: %w", err)
	}
	l, err := w.layer(of.Architecture)
	if err != nil {
		return err
	}
	config, err := wrapConfig(s.config, l.diffID)
	if err != nil {
		return fmt.Errorf("configuration of the image: %w", err)
	}
	manifest, err := wrapManifest(s.manifest, config, s.addition(l))
	if err != nil {
		return fmt.Errorf("manifest of the image: %w", err)
	}
	return s.replace(l, config, manifest)
}

// layer packs the program for an architecture, once: of equal programs registries
// keep one layer, for equal bytes are packed to equal bytes. An image that does not
// say what it is for was made by and for this machine.
func (w *Wrapper) layer(architecture string) (*layer, error) {
	if architecture == "" {
		architecture = runtime.GOARCH
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if l := w.layers[architecture]; l != nil {
		return l, nil
	}
	program, err := w.Programs(architecture)
	if err != nil {
		return nil, err
	}
	l, err := pack(program)
	if err != nil {
		return nil, err
	}
	if w.layers == nil {
		w.layers = map[string]*layer{}
	}
	w.layers[architecture] = l
	return l, nil
}

// pack makes a layer of the program, which is root's and has no time.
func pack(program []byte) (*layer, error) {
	var plain, packed bytes.Buffer
	files := tar.NewWriter(&plain)
	err := files.WriteHeader(&tar.Header{Name: image.WrapperFile[1:], Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(program)), Format: tar.FormatUSTAR})
	if err != nil {
		return nil, err
	}
	if _, err := files.Write(program); err != nil {
		return nil, err
	}
	if err := files.Close(); err != nil {
		return nil, err
	}
	zip := gzip.NewWriter(&packed)
	if _, err := zip.Write(plain.Bytes()); err != nil {
		return nil, err
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	return &layer{packed: packed.Bytes(), digest: hash(packed.Bytes()), diffID: hash(plain.Bytes())}, nil
}

func hash(data []byte) v1.Hash {
	h, _, _ := v1.SHA256(bytes.NewReader(data)) // fails where a read does
	return h
}

// stored is the only image of a layout.
type stored struct {
	path             layout.Path
	at               v1.Descriptor // in the index of the layout
	config, manifest []byte        // as they are written
}

func open(dir string) (*stored, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, err
	}
	m, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	if len(m.Manifests) != 1 || !m.Manifests[0].MediaType.IsImage() {
		return nil, errors.New("image layout does not hold one image")
	}
	s := &stored{path: layout.Path(dir), at: m.Manifests[0]}
	if s.manifest, err = s.path.Bytes(s.at.Digest); err != nil {
		return nil, err
	}
	parsed, err := v1.ParseManifest(bytes.NewReader(s.manifest))
	if err != nil {
		return nil, err
	}
	s.config, err = s.path.Bytes(parsed.Config.Digest)
	return s, err
}

// addition says in a manifest what a layer is.
func (s *stored) addition(l *layer) v1.Descriptor {
	kind := types.OCILayer
	if s.at.MediaType == types.DockerManifestSchema2 {
		kind = types.DockerLayer
	}
	return v1.Descriptor{MediaType: kind, Size: int64(len(l.packed)), Digest: l.digest}
}

// replace puts the image with one more layer in the place of the one that was
// read. The blobs come first: until the last step the layout is as it was.
func (s *stored) replace(l *layer, config, manifest []byte) error {
	for _, blob := range [][]byte{l.packed, config, manifest} {
		if err := s.path.WriteBlob(hash(blob), io.NopCloser(bytes.NewReader(blob))); err != nil {
			return err
		}
	}
	now := s.at
	now.Digest, now.Size, now.Data = hash(manifest), int64(len(manifest)), nil
	if err := s.path.RemoveDescriptors(match.Digests(s.at.Digest)); err != nil {
		return err
	}
	return s.path.AppendDescriptor(now)
}
