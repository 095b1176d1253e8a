package embedded

import (
	"github.com/containerd/containerd/v2/core/content"
	"github.com/moby/buildkit/cache/remotecache"
	"github.com/moby/buildkit/cache/remotecache/local"
	"github.com/moby/buildkit/cache/remotecache/registry"
	"github.com/moby/buildkit/session"
)

// The kinds of caches beside the daemon's own: in a registry, in a directory of the
// client, and with GitHub. All others are services of others, and bring much with them.
const (
	inRegistry  = "registry"
	inDirectory = "local"
	inActions   = "gha"
)

func cacheExporters(s *session.Manager, mirrors map[string]string) map[string]remotecache.ResolveCacheExporterFunc {
	return map[string]remotecache.ResolveCacheExporterFunc{
		inRegistry:  registry.ResolveCacheExporterFunc(s, registries(mirrors)),
		inDirectory: local.ResolveCacheExporterFunc(s),
		inActions:   exportActions,
	}
}

func cacheImporters(s *session.Manager, c content.Store, mirrors map[string]string) map[string]remotecache.ResolveCacheImporterFunc {
	return map[string]remotecache.ResolveCacheImporterFunc{
		inRegistry:  registry.ResolveCacheImporterFunc(s, c, registries(mirrors)),
		inDirectory: local.ResolveCacheImporterFunc(s),
		inActions:   importActions,
	}
}
