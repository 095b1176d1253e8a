package bake

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/convox-ci/convox-ci/internal/image"
)

// Cache is a repository in which builds leave their layers for later ones, of
// this app and of others.
type Cache struct {
	Repository string   // host/name; "" for none
	Tags       []string // in it, of what may be reused, the latest pushed first
}

// maxImports is how many tags beside those of its own units a build looks
// through: each costs requests before the first step.
const maxImports = 4

// cacheTag names what a unit leaves. It is the same in every build, and another
// for each unit: with one for all, the last would take the place of the others.
func (o Order) cacheTag(u *unit) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "path=%q manifest=%q target=%q", u.build.Path, u.build.Manifest, u.spec.Target))
	return o.App + "." + hex.EncodeToString(sum[:])[:16]
}

// cache is what the build of a unit takes and leaves: it looks at what the unit
// itself has left first, then at that of the app's other units, then at the latest
// of others.
func (o Order) cache(own *unit, units []*unit) image.Cache {
	if o.Cache.Repository == "" {
		return image.Cache{}
	}
	tags := []string{o.cacheTag(own)}
	for _, u := range units {
		if tag := o.cacheTag(u); u.image == "" && !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	tags = slices.DeleteFunc(tags, func(tag string) bool { return !slices.Contains(o.Cache.Tags, tag) })
	others := 0
	for _, tag := range o.Cache.Tags {
		if others < maxImports && !slices.Contains(tags, tag) {
			tags = append(tags, tag)
			others++
		}
	}
	c := image.Cache{To: o.Cache.Repository + ":" + o.cacheTag(own)}
	for _, tag := range tags {
		c.From = append(c.From, o.Cache.Repository+":"+tag)
	}
	return c
}
