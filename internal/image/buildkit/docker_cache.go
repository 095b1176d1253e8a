package buildkit

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
)

// containerdStore is how an engine calls the one of its image stores with which
// its BuildKit can do what a BuildKit by itself can: hand images over, and keep caches
// elsewhere.
// https://docs.docker.com/engine/storage/containerd/ and
// https://docs.docker.com/build/cache/backends/
const containerdStore = "io.containerd.snapshotter.v1"

// Caches implements [image.Cacher].
func (d *Docker) Caches(ctx context.Context) bool { return d.onContainerd(ctx) }

// onContainerd tells whether the engine has containerd's image store; one that does
// not answer has none.
func (d *Docker) onContainerd(ctx context.Context) bool {
	var info struct{ DriverStatus [][]string }
	err := d.engine.do(ctx, http.MethodGet, "/info", nil, func(body io.Reader) error {
		return json.NewDecoder(io.LimitReader(body, maxInfo)).Decode(&info)
	})
	return err == nil && slices.ContainsFunc(info.DriverStatus, func(pair []string) bool {
		return slices.Equal(pair, []string{"driver-type", containerdStore})
	})
}

// maxInfo is how much is read of what an engine says of itself, in bytes: ten
// times what is usual.
const maxInfo = 64 << 10
