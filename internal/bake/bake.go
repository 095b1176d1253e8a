// Package bake turns the source of an app and its manifest into images in a
// registry: one for each service, equal builds done once.
package bake

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

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

// Baker bakes with one builder and one registry.
type Baker struct {
	Builder  image.Builder
	Registry Registry
}

// Order is what is to be baked.
type Order struct {
	App, Build  string             // the app's name and the build's id, for tags
	Source      string             // directory of the unpacked source
	Scratch     string             // directory for images on their way; the caller removes it
	Manifest    *manifest.Manifest // of the source
	Env         map[string]string  // of the app, overlaid with build args: what ARG lines may take
	Development bool               // stop at the stage named development where there is one
	NoCache     bool               // build every step anew
	Repository  string             // host/name that images are pushed to
}

// Image is one service's image in the registry.
type Image struct {
	Service string
	Ref     string // repository:service.build
	Digest  string // of the manifest, sha256:…
}

// Bake builds and pulls what the services need, then pushes an image for each
// service, in the order of the manifest. log gets the lines a Rack writes and
// the builder's own output. The first fault ends it; images pushed by then stay.
func (b *Baker) Bake(ctx context.Context, o Order, log io.Writer) ([]Image, error) {
	units := o.units()
	for _, u := range units {
		u.layout = filepath.Join(o.Scratch, u.hash)
	}
	if err := b.build(ctx, o, units, log); err != nil {
		return nil, err
	}
	if err := b.pull(ctx, units, log); err != nil {
		return nil, err
	}
	return b.push(ctx, o, units, log)
}

func (b *Baker) build(ctx context.Context, o Order, units []*unit, log io.Writer) error {
	for _, u := range units {
		if u.image != "" {
			continue
		}
		spec, err := o.spec(u)
		if err != nil {
			return err
		}
		fmt.Fprintf(log, "Building: %s\n", u.build.Path)
		if err := b.Builder.Build(ctx, spec, log); err != nil {
			return fmt.Errorf("build %s: %w", u.build.Path, err)
		}
	}
	return nil
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

// push tags and pushes. The lines name the docker commands that a Rack runs,
// since people and tools search build logs for them.
func (b *Baker) push(ctx context.Context, o Order, units []*unit, log io.Writer) ([]Image, error) {
	for _, u := range units {
		for _, service := range u.services {
			fmt.Fprintf(log, "Running: docker tag %s %s\n", u.source(), o.localTag(service))
		}
	}
	at := map[string]*unit{}
	for _, u := range units {
		for _, service := range u.services {
			at[service] = u
		}
	}
	var images []Image
	for _, s := range o.Manifest.Services {
		ref := o.Repository + ":" + s.Name + "." + o.Build
		fmt.Fprintf(log, "Running: docker tag %s %s\n", o.localTag(s.Name), ref)
		fmt.Fprintf(log, "Running: docker push %s\n", ref)
		digest, err := b.Registry.Push(ctx, at[s.Name].layout, ref)
		if err != nil {
			return nil, fmt.Errorf("push %s: %w", ref, err)
		}
		images = append(images, Image{Service: s.Name, Ref: ref, Digest: digest})
	}
	return images, nil
}

// localTag is the name an image has before it is pushed. Racks never hand their
// own name to the builder, so it begins with convox on all of them.
func (o Order) localTag(service string) string {
	return "convox/" + o.App + ":" + service + "." + o.Build
}
