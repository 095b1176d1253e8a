package registry

import (
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Sources remembers which repositories have which layers. The zero value remembers
// none yet.
type Sources struct {
	mu  sync.Mutex
	has map[v1.Hash]name.Repository // by the digest of the layer
}

// note remembers where an image is.
func (s *Sources) note(in name.Repository, img v1.Image) error {
	m, err := img.Manifest()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.has == nil {
		s.has = map[v1.Hash]name.Repository{}
	}
	for _, l := range m.Layers {
		s.has[l.Digest] = in
	}
	return nil
}

// mounting is an image that is pushed with layers of other repositories of the same
// registry, nil if those have none of it.
func (s *Sources) mounting(to name.Repository, img v1.Image) v1.Image {
	layers, err := img.Layers()
	if err != nil {
		return nil // whoever reads them next says why
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := false
	for i, l := range layers {
		digest, err := l.Digest()
		from, ok := s.has[digest]
		if err != nil || !ok || from.RegistryStr() != to.RegistryStr() || from == to {
			continue
		}
		layers[i], found = &remote.MountableLayer{Layer: l, Reference: from.Digest(digest.String())}, true
	}
	if !found {
		return nil
	}
	return &mountable{img, layers}
}

// mountable is an image with layers that are mounted rather than sent.
type mountable struct {
	v1.Image
	layers []v1.Layer
}

// Layers implements [v1.Image].
func (m *mountable) Layers() ([]v1.Layer, error) { return m.layers, nil }
