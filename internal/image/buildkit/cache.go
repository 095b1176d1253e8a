package buildkit

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/moby/buildkit/client"

	"github.com/convox-ci/convox-ci/internal/image"
)

// useCache maps what a spec says of caches to BuildKit's words. The layers of all
// steps go along, not only those that end up in the image; and the form is one
// that ECR takes too, also from daemons for which it is not the default.
// https://docs.docker.com/build/cache/backends/registry/
func useCache(opt *client.SolveOpt, c image.Cache) {
	for _, ref := range c.From {
		opt.CacheImports = append(opt.CacheImports, client.CacheOptionsEntry{Type: "registry", Attrs: map[string]string{"ref": ref}})
	}
	if c.To != "" {
		opt.CacheExports = []client.CacheOptionsEntry{{Type: "registry", Attrs: map[string]string{
			"ref": c.To, "mode": "max", "image-manifest": "true", "oci-mediatypes": "true", "ignore-error": "true",
		}}}
	}
}

// The names of the daemon's steps for caches begin so.
const (
	importStep = "importing cache manifest from "
	exportStep = "exporting cache to "
)

// cacheFaults are the errors of those steps, by their names. The daemon itself
// passes over them.
type cacheFaults map[string]string

func (f cacheFaults) add(s *client.SolveStatus) {
	for _, v := range s.Vertexes {
		if v.Error != "" && (strings.HasPrefix(v.Name, importStep) || strings.HasPrefix(v.Name, exportStep)) {
			f[v.Name] = strings.Join(strings.Fields(plain(errors.New(v.Error)).Error()), " ")
		}
	}
}

// warn writes a line for each.
func (f cacheFaults) warn(log io.Writer) error {
	for _, name := range slices.Sorted(maps.Keys(f)) {
		done := "written"
		if strings.HasPrefix(name, importStep) {
			done = "read"
		}
		if _, err := fmt.Fprintf(log, "WARNING: the persistent cache was not %s: %s\n", done, f[name]); err != nil {
			return err
		}
	}
	return nil
}
