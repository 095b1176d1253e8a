// Package bake turns the source of an app and its manifest into images in a
// registry: one for each service, equal builds done once.
package bake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/manifest"
)

// Registry brings images from and to registries. In between they are OCI image
// layouts, directories of one image each.
type Registry interface {
	// Pull writes the image that ref names, for the platform of this machine, to layout.
	Pull(ctx context.Context, ref, layout string) error
	// Push copies the image in layout to ref and returns its digest, sha256:….
	Push(ctx context.Context, layout, ref string) (digest string, err error)
}

// Mounter is a Registry that need not send the layers of images which it knows to be
// there already.
type Mounter interface {
	Registry
	// Note is told of an image that others are built from.
	Note(ctx context.Context, ref string)
}

// Baker bakes with one builder and one registry.
type Baker struct {
	Builder  image.Builder
	Registry Registry
	Wrapper  image.Wrapper // nil looks into no image, and leaves all as they are
}

// Order is what is to be baked.
type Order struct {
	App, Build string             // the app's name and the build's id, for tags
	Source     string             // directory of the unpacked source
	Scratch    string             // directory for images on their way; the caller removes it
	Manifest   *manifest.Manifest // of the source
	Env        map[string]string  // of the app, overlaid with build args: what ARG lines may take
	Repository string             // host/name that images are pushed to
	Cache      Cache              // where layers outlive the builder
	Limits     image.Limits       // of the build, whose images are built one after another
	Manner

	// Built is told the entry point of each image that was built and has one,
	// before anything is put before it; nil for nobody.
	Built func(entrypoint []string) error
}

// Manner is how it is to be baked. The zero value is as a v2 Rack does it that is
// asked for nothing.
type Manner struct {
	Development bool // stop at the stage named development where there is one
	NoCache     bool // build every step anew
	Fargate     bool // the log is that of a builder on Fargate
	Unwrapped   bool // images start with nothing before what they were built with, as on v3 racks
}

// Image is one service's image in the registry.
type Image struct {
	Service string
	Ref     string // repository:service.build
	Digest  string // of the manifest, sha256:…
}

// Bake builds and pulls what the services need, then pushes an image for each
// service, and returns them in the order of the manifest. log gets the lines a
// Rack writes, in its order, and the builder's own output. What the manifest says
// of builds is checked before the first begins. The first fault ends it; images
// pushed by then stay.
func (b *Baker) Bake(ctx context.Context, o Order, log io.Writer) ([]Image, error) {
	units := o.units()
	for _, u := range units {
		u.layout = filepath.Join(o.Scratch, u.hash)
		if u.image != "" {
			continue
		}
		var err error
		if u.spec, err = o.spec(u); err != nil {
			return nil, err
		}
	}
	for _, u := range units {
		u.spec.Cache = o.cache(u, units)
	}
	if err := b.build(ctx, o, units, log); err != nil {
		return nil, err
	}
	if err := b.pull(ctx, units, log); err != nil {
		return nil, err
	}
	if err := b.tag(o, units, log); err != nil {
		return nil, err
	}
	return b.push(ctx, o, units, log)
}

func (b *Baker) build(ctx context.Context, o Order, units []*unit, log io.Writer) error {
	for _, u := range units {
		if u.image != "" {
			continue
		}
		fmt.Fprintf(log, "Building: %s\n", u.build.Path)
		if err := b.Builder.Build(ctx, u.spec, log); err != nil {
			return fmt.Errorf("build %s: %w", u.build.Path, err)
		}
		if err := b.tell(o, u); err != nil {
			return err
		}
	}
	return nil
}

// tell says what a built image starts with.
func (b *Baker) tell(o Order, u *unit) error {
	if b.Wrapper == nil || o.Built == nil {
		return nil
	}
	entrypoint, err := b.Wrapper.Entrypoint(u.layout)
	if err != nil {
		return fmt.Errorf("entry point of %s: %w", u.build.Path, err)
	}
	if len(entrypoint) == 0 {
		return nil
	}
	return o.Built(entrypoint)
}

func (b *Baker) pull(ctx context.Context, units []*unit, log io.Writer) error {
	for _, u := range units {
		if u.image == "" {
			continue
		}
		fmt.Fprintf(log, "Running: docker pull %s\n", u.image)
		if err := b.Registry.Pull(ctx, u.image, u.layout); err != nil {
			return fmt.Errorf("pull %s: %w", u.image, err)
		}
	}
	return nil
}

// tag writes the lines of a step that only a Rack's Docker needs, and puts the
// wrapper into the images. Like those of push the lines name the commands that a
// Rack runs, since people and tools search build logs for them. On Fargate an
// image is wrapped before it has tags, elsewhere under each of them; of one image
// that is the same all times, so it is done once.
func (b *Baker) tag(o Order, units []*unit, log io.Writer) error {
	sorted := slices.SortedFunc(slices.Values(units), func(a, b *unit) int { return strings.Compare(a.source(), b.source()) })
	for _, u := range sorted {
		wrapped, err := b.wrap(o, u, log)
		if err != nil {
			return err
		}
		if o.Fargate {
			io.WriteString(log, wrapped)
			continue
		}
		for _, service := range u.services {
			fmt.Fprintf(log, "Running: docker tag %s %s\n%s", u.source(), o.localTag(service), wrapped)
		}
	}
	return nil
}

// wrap puts the wrapper into the image of a unit, and returns the line that tells
// of it, which comes once for each of its names.
func (b *Baker) wrap(o Order, u *unit, log io.Writer) (line string, err error) {
	if b.Wrapper == nil || o.Unwrapped {
		return "", nil
	}
	err = b.Wrapper.Wrap(u.layout)
	if errors.Is(err, image.ErrNoProgram) {
		fmt.Fprintf(log, "WARNING: %s starts without convox-env: %v\n", u.source(), err)
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("convox-env: %w", err)
	}
	return "Injecting: convox-env\n", nil
}

// push pushes in the order of the local tags, as a Rack does.
func (b *Baker) push(ctx context.Context, o Order, units []*unit, log io.Writer) ([]Image, error) {
	layouts := map[string]string{} // by service
	for _, u := range units {
		for _, service := range u.services {
			layouts[service] = u.layout
		}
	}
	if m, ok := b.Registry.(Mounter); ok {
		for _, u := range units {
			for _, ref := range u.bases {
				m.Note(ctx, ref)
			}
		}
	}
	digests := map[string]string{}
	for _, service := range slices.SortedFunc(maps.Keys(layouts), func(a, b string) int {
		return strings.Compare(o.localTag(a), o.localTag(b))
	}) {
		if o.Fargate {
			fmt.Fprintf(log, "Running: tag and push %s\n", o.ref(service))
		} else {
			fmt.Fprintf(log, "Running: docker tag %s %s\nRunning: docker push %s\n", o.localTag(service), o.ref(service), o.ref(service))
		}
		digest, err := b.Registry.Push(ctx, layouts[service], o.ref(service))
		if err != nil {
			return nil, fmt.Errorf("push %s: %w", o.ref(service), err)
		}
		if o.Fargate {
			fmt.Fprintf(log, "Pushed %s\n", o.ref(service))
		}
		digests[service] = digest
	}
	var images []Image
	for _, s := range o.Manifest.Services {
		images = append(images, Image{Service: s.Name, Ref: o.ref(s.Name), Digest: digests[s.Name]})
	}
	return images, nil
}

// ref is where the image of a service is pushed to.
func (o Order) ref(service string) string { return o.Repository + ":" + service + "." + o.Build }

// localTag is the name an image has before it is pushed. Racks never hand their
// own name to the builder, so it begins with convox on all of them.
func (o Order) localTag(service string) string {
	return "convox/" + o.App + ":" + service + "." + o.Build
}
