package embedded

import (
	"github.com/containerd/containerd/v2/core/content"
	"github.com/moby/buildkit/cache/remotecache"
	"github.com/moby/buildkit/cache/remotecache/registry"
	"github.com/moby/buildkit/session"
)

// inRegistry is the only kind of cache beside the daemon's own: all others are
// services of others.
const inRegistry = "registry"

func cacheExporters(s *session.Manager, mirrors map[string]string) map[string]remotecache.ResolveCacheExporterFunc {
	return map[string]remotecache.ResolveCacheExporterFunc{inRegistry: registry.ResolveCacheExporterFunc(s, registries(mirrors))}
}

func cacheImporters(s *session.Manager, c content.Store, mirrors map[string]string) map[string]remotecache.ResolveCacheImporterFunc {
	return map[string]remotecache.ResolveCacheImporterFunc{inRegistry: registry.ResolveCacheImporterFunc(s, c, registries(mirrors))}
}
