package buildkit

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/buildkit/client"

	"github.com/convox-ci/convox-ci/internal/image"
)

// useCache maps what a spec says of caches to BuildKit's words. The layers of all
// steps go along, not only those that end up in the image; and the form is one
// that ECR takes too, also from daemons for which it is not the default.
// https://docs.docker.com/build/cache/backends/registry/
func useCache(opt *client.SolveOpt, c image.Cache, log io.Writer) error {
	for _, ref := range c.From {
		opt.CacheImports = append(opt.CacheImports, client.CacheOptionsEntry{Type: "registry", Attrs: map[string]string{"ref": ref}})
	}
	if c.To != "" {
		opt.CacheExports = []client.CacheOptionsEntry{{Type: "registry", Attrs: map[string]string{
			"ref": c.To, "mode": "max", "image-manifest": "true", "oci-mediatypes": "true", "ignore-error": "true",
		}}}
	}
	return errors.Join(importEntries(opt, c.Imports, log), exportEntries(opt, c.Exports, log))
}

// importEntries adds caches to take steps from. A directory is looked into here,
// since the client of BuildKit would say nothing of one without a cache.
func importEntries(opt *client.SolveOpt, entries []image.CacheEntry, log io.Writer) error {
	for _, e := range entries {
		if e.Type == "local" {
			if _, err := os.Stat(filepath.Join(e.Attrs["src"], "index.json")); err != nil {
				if _, err := fmt.Fprintf(log, "WARNING: the cache was not read: there is none in %s\n", e.Attrs["src"]); err != nil {
					return err
				}
				continue
			}
		}
		opt.CacheImports = append(opt.CacheImports, client.CacheOptionsEntry{Type: e.Type, Attrs: maps.Clone(e.Attrs)})
	}
	return nil
}

// exportEntries adds caches that steps are left in. In a directory that cannot be
// written to the client of BuildKit would see a failed build.
func exportEntries(opt *client.SolveOpt, entries []image.CacheEntry, log io.Writer) error {
	for _, e := range entries {
		attrs := map[string]string{"ignore-error": "true"}
		if e.Type == "registry" {
			attrs["image-manifest"], attrs["oci-mediatypes"] = "true", "true"
		}
		maps.Copy(attrs, e.Attrs)
		if e.Type == "local" {
			if err := writable(attrs["dest"]); err != nil {
				if _, err := fmt.Fprintf(log, "WARNING: the cache was not written: %v\n", err); err != nil {
					return err
				}
				continue
			}
		}
		opt.CacheExports = append(opt.CacheExports, client.CacheOptionsEntry{Type: e.Type, Attrs: attrs})
	}
	return nil
}

// writable makes a directory and tells why nothing can be put into it.
func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	probe, err := os.CreateTemp(dir, "probe")
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// The names of the daemon's steps for caches begin so; one kind has its own words.
const (
	importStep  = "importing cache manifest from "
	exportStep  = "exporting cache to "
	actionsStep = "exporting to GitHub Actions Cache"
)

// cacheFaults are the errors of those steps, by their names. The daemon itself
// passes over them.
type cacheFaults map[string]string

func (f cacheFaults) add(s *client.SolveStatus) {
	for _, v := range s.Vertexes {
		if v.Error != "" && slices.ContainsFunc([]string{importStep, exportStep, actionsStep}, func(s string) bool { return strings.HasPrefix(v.Name, s) }) {
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
