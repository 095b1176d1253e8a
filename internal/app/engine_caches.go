//go:build !carrier

package app

import (
	"context"
	"errors"
	"maps"

	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/image/buildkit"
)

// inActions is the type of caches of GitHub Actions.
const inActions = "gha"

// KeepsCache implements [workflow.Engine].
func (e *engine) KeepsCache(ctx context.Context, kind string) error {
	b, err := e.get(ctx)
	docker, inDocker := b.(*buildkit.Docker)
	switch {
	case err != nil: // which the build says as well
		return nil
	case e.own && kind == inActions:
		return errors.New("is not for the BuildKit inside convox-ci, which has no client of the cache of GitHub Actions")
	case inDocker && !docker.Caches(ctx):
		return errors.New("is not for this Docker, whose BuildKit keeps caches elsewhere only with containerd's image store")
	}
	return nil
}

// ofActions are caches with what that of GitHub Actions is asked by, which a runner
// tells its actions; see https://docs.docker.com/build/cache/backends/gha/
func (e *engine) ofActions(caches []image.CacheEntry) []image.CacheEntry {
	var list []image.CacheEntry
	for _, c := range caches {
		if c.Type == inActions {
			c.Attrs = maps.Clone(c.Attrs)
			c.Attrs["token"] = e.variable("ACTIONS_RUNTIME_TOKEN")
			if results := e.variable("ACTIONS_RESULTS_URL"); results != "" {
				c.Attrs["url_v2"], c.Attrs["version"] = results, "2"
			} else {
				c.Attrs["url"] = e.variable("ACTIONS_CACHE_URL")
			}
		}
		list = append(list, c)
	}
	return list
}
