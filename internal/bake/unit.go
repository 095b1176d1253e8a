package bake

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/manifest"
)

// unit is what is built or pulled once, for one service or for several that
// ask for the same.
type unit struct {
	hash     string
	build    manifest.Build
	image    string // pulled if not "", and then nothing is built
	services []string
	layout   string     // where its image is
	spec     image.Spec // of the build
	bases    []string   // images that it is built from, as far as the Dockerfile names them
}

// source is the name by which a Rack's log calls the unit's image.
func (u *unit) source() string {
	if u.image != "" {
		return u.image
	}
	return u.hash
}

// units groups the services, in the order of each unit's first service.
func (o Order) units() []*unit {
	var units []*unit
	known := map[string]*unit{}
	for _, s := range o.Manifest.Services {
		build := s.Build
		if build.Path != "" {
			build.Path = path.Clean(build.Path)
		}
		hash := unitHash(o.Build, build, s.Image)
		u := known[hash]
		if u == nil {
			u = &unit{hash: hash, build: build, image: s.Image}
			known[hash] = u
			units = append(units, u)
		}
		u.services = append(u.services, s.Name)
	}
	return units
}

// unitHash is the name of a unit, the same as a v2 Rack gives it. It holds the
// build's id, so it says nothing across builds.
func unitHash(id string, b manifest.Build, image string) string {
	text := fmt.Sprintf("key=%q build[path=%q, manifest=%q, args=%v] image=%q", id, b.Path, b.Manifest, b.Args, image)
	sum := sha1.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// spec prepares the build of a unit: its paths are checked to stay within the
// source, and its Dockerfile is read for the rules about ARG and FROM lines.
func (o Order) spec(u *unit) (image.Spec, error) {
	text, err := Dockerfile(o.Source, u.build)
	if err != nil {
		return image.Spec{}, err
	}
	u.bases = Bases(text)
	s := image.Spec{
		Context:    filepath.Join(o.Source, filepath.FromSlash(u.build.Path)),
		Dockerfile: filepath.Join(o.Source, filepath.FromSlash(u.build.Dockerfile())),
		Args:       BuildArgs(text, o.Env),
		NoCache:    o.NoCache,
		Limits:     o.Limits,
		Layout:     u.layout,
	}
	if o.Development {
		s.Target = DevelopmentStage(text)
	}
	return s, nil
}

// Dockerfile reads the Dockerfile of a build in a source tree. Its errors are in
// the words that stand in the log of a build that fails by them.
func Dockerfile(source string, b manifest.Build) (string, error) {
	file := b.Dockerfile()
	for _, p := range []string{b.Path, file} {
		if !filepath.IsLocal(filepath.FromSlash(p)) {
			return "", fmt.Errorf("build path %s leads out of the source", p)
		}
	}
	root, err := os.OpenRoot(source)
	if err != nil {
		return "", err
	}
	defer root.Close()
	if info, err := root.Stat(b.Path); err != nil || !info.IsDir() {
		return "", fmt.Errorf("build path %s is not a directory of the source", b.Path)
	}
	text, err := root.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no %s in the source", file)
	}
	return string(text), err
}
