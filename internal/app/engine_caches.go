//go:build !carrier

package app

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/url"
	"strings"

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
	case e.own && kind == inActions && !e.secondService():
		return errors.New("is not for the BuildKit inside convox-ci on this runner, whose cache service is of version 1 (ACTIONS_CACHE_URL)")
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
			if e.secondService() {
				c.Attrs["url_v2"], c.Attrs["version"] = e.variable("ACTIONS_RESULTS_URL"), "2"
			} else {
				c.Attrs["url"], c.Attrs["version"] = e.variable("ACTIONS_CACHE_URL"), "1"
			}
		}
		list = append(list, c)
	}
	return list
}

// secondService tells whether the cache service is of version 2. GitHub has no other
// any more, but a runner does not tell container actions which it is; what is like
// GitHub may have both addresses, the second for artifacts alone.
func (e *engine) secondService() bool {
	switch {
	case e.variable("ACTIONS_RESULTS_URL") == "":
		return false
	case e.variable("ACTIONS_CACHE_URL") == "" || e.variable("ACTIONS_CACHE_SERVICE_V2") != "":
		return true
	}
	server, err := url.Parse(cmp.Or(e.variable("GITHUB_SERVER_URL"), "https://github.com"))
	return err == nil && (server.Hostname() == "github.com" || strings.HasSuffix(server.Hostname(), ".ghe.com"))
}
