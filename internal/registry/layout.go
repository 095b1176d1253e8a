package registry

import (
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

func newLayout(dir string) (layout.Path, error) { return layout.Write(dir, empty.Index) }
