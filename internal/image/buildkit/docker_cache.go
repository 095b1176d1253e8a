package buildkit

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
)

// containerdStore is how an engine calls the one of its image stores with which
// its BuildKit can keep caches in registries.
// https://docs.docker.com/build/cache/backends/
const containerdStore = "io.containerd.snapshotter.v1"

// Caches implements [image.Cacher]: only an engine with containerd's image store
// is able to, and one that does not answer is not.
func (d *Docker) Caches(ctx context.Context) bool {
	var info struct{ DriverStatus [][]string }
	err := d.engine.do(ctx, http.MethodGet, "/info", func(body io.Reader) error {
		return json.NewDecoder(io.LimitReader(body, maxInfo)).Decode(&info)
	})
	return err == nil && slices.ContainsFunc(info.DriverStatus, func(pair []string) bool {
		return slices.Equal(pair, []string{"driver-type", containerdStore})
	})
}

// maxInfo is how much is read of what an engine says of itself, in bytes: ten
// times what is usual.
const maxInfo = 64 << 10
