package bake

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/convox-ci/convox-ci/internal/image"
)

// Cache is a repository in which builds leave their layers for later ones, of
// this app and of others.
type Cache struct {
	Repository string   // host/name; "" for none
	Tags       []string // in it, of what may be reused, the latest pushed first

	From, To []image.CacheEntry // that were asked for, beside the repository
}

// maxImports is how many tags of others a unit without one of its own looks
// through: each costs requests before the first step.
const maxImports = 4

// cacheTag names what a unit leaves. It is the same in every build, and another
// for each unit: with one for all, the last would take the place of the others.
func (o Order) cacheTag(u *unit) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "path=%q manifest=%q target=%q", u.build.Path, u.build.Manifest, u.spec.Target))
	return o.App + "." + hex.EncodeToString(sum[:])[:16]
}

// cacheTags are what cacheTag makes, of any app.
var cacheTags = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*\.[0-9a-f]{16}$`)

// IsCacheTag tells whether a tag is one that builds leave their layers under: others
// put into the same repository what BuildKit cannot read.
func IsCacheTag(tag string) bool { return cacheTags.MatchString(tag) }

// cache is what the build of a unit takes and leaves. It takes what the unit itself
// has left and the app's other units have, which were built anew together if they
// were; and what others left last only where the unit has left nothing: of several
// results of one step BuildKit takes any, also one that was to be replaced by a
// build without the cache.
func (o Order) cache(own *unit, units []*unit) image.Cache {
	c := image.Cache{Imports: apart(o.Cache.From, own, units), Exports: apart(o.Cache.To, own, units)}
	if o.Cache.Repository == "" {
		return c
	}
	mine := o.cacheTag(own)
	tags := []string{mine}
	for _, u := range units {
		if tag := o.cacheTag(u); u.image == "" && !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	tags = slices.DeleteFunc(tags, func(tag string) bool { return !slices.Contains(o.Cache.Tags, tag) })
	if !slices.Contains(tags, mine) {
		others := slices.DeleteFunc(slices.Clone(o.Cache.Tags), func(tag string) bool { return slices.Contains(tags, tag) })
		tags = append(tags, others[:min(maxImports, len(others))]...)
	}
	c.To = o.Cache.Repository + ":" + mine
	for _, tag := range tags {
		c.From = append(c.From, o.Cache.Repository+":"+tag)
	}
	return c
}

// apart are caches for one unit of several: each has its own below the given place,
// or the last would take the place of the others.
func apart(entries []image.CacheEntry, own *unit, units []*unit) []image.CacheEntry {
	built := 0
	for _, u := range units {
		if u.image == "" {
			built++
		}
	}
	if built < 2 || own.image != "" {
		return entries
	}
	var list []image.CacheEntry
	for _, e := range entries {
		attrs, name := maps.Clone(e.Attrs), own.services[0]
		switch e.Type {
		case "registry":
			attrs["ref"] = tagged(attrs["ref"], name)
		case "local":
			for _, dir := range []string{"src", "dest"} {
				if attrs[dir] != "" {
					attrs[dir] = filepath.Join(attrs[dir], name)
				}
			}
		case "gha":
			attrs["scope"] = cmp.Or(attrs["scope"], "buildkit") + "-" + name
		}
		list = append(list, image.CacheEntry{Type: e.Type, Attrs: attrs})
	}
	return list
}

// tagged adds a name to the tag of a reference. What is named by its digest stays.
func tagged(ref, name string) string {
	if strings.Contains(ref, "@") {
		return ref
	}
	if strings.Contains(ref[strings.LastIndex(ref, "/")+1:], ":") {
		return ref + "-" + name
	}
	return ref + ":" + name
}
