package rackd

import (
	"context"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// recordEntrypoint records what an image of a build starts with. There is one
// such text for a build: of several images, that of the last one stays.
func (s *Server) recordEntrypoint(ctx context.Context, j job, words []string) error {
	_, err := s.updateBuild(ctx, j.app, j.id, func(b *rack.Build) { b.Entrypoint = rack.EntrypointLine(words) })
	return err
}
