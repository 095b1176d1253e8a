// Package image says what is asked of a builder of container images and what
// it hands over. The packages below it are the ways to have one.
package image

import (
	"context"
	"errors"
	"io"
)

// Spec is one image to be built.
type Spec struct {
	Context    string   // directory whose files the Dockerfile may copy
	Dockerfile string   // its path; it may lie outside the context
	Target     string   // stage to build, "" for the last one
	Args       []string // NAME=VALUE, one for each ARG that is set
	NoCache    bool     // build every step anew
	Layout     string   // directory that the image is written to, as an OCI image layout
	Cache      Cache    // in registries
	Limits     Limits   // of the whole build
}

// Limits say how much the steps of a build may take together; some builders can hold
// them for each step alone. Of steps that several builds share, the widest count. A
// builder that cannot hold them runs steps without.
type Limits struct {
	CPU    int // in 1/1024 of one CPU, as Amazon ECS counts; 0 for no limit, else at least LeastCPU
	Memory int // in MB of 1<<20 bytes; 0 for no limit, else at least LeastMemory
}

// The smallest limits, which are Docker's: the kernel divides time no finer than a
// hundredth of a CPU, and a container does not start with less than 6 MB
// (https://docs.docker.com/engine/containers/resource_constraints/).
const (
	LeastCPU    = 11
	LeastMemory = 6
)

// Cache is what of other builds a build may take its steps from, beside what the
// builder itself keeps, and where it leaves its own, all of them or those that
// others have asked for by the words of BuildKit. A reference that is not
// there, or a registry that refuses, costs a build its speed and never fails it;
// the log says so in a line that begins with WARNING.
type Cache struct {
	From []string // references of images with the layers of builds; the first counts first
	To   string   // reference that the layers of all steps are left under; "" for none

	Imports, Exports []CacheEntry // beside those
}

// CacheEntry is a cache as BuildKit knows it, by the attributes of its type:
// https://docs.docker.com/build/cache/backends/
type CacheEntry struct {
	Type  string // registry, local or gha
	Attrs map[string]string
}

// Builder builds images. Build writes one image, and nothing else, into the
// layout of the spec; log gets what a person may want to read, as it comes. A
// builder may be used from many goroutines at once.
type Builder interface {
	Build(ctx context.Context, s Spec, log io.Writer) error
}

// Cacher is a [Builder] that may be able to do as the [Cache] of a spec says. Of
// one that cannot, or does not implement this, a spec must not ask it.
type Cacher interface {
	Builder
	// Caches tells whether it is able to.
	Caches(ctx context.Context) bool
}

// ErrNoProgram is the kind of the error of a [Wrapper] without a program for the
// architecture of an image.
var ErrNoProgram = errors.New("no program for this architecture")

// WrapperFile is the file that the program of a [Wrapper] has in images, which a
// Rack calls by this name as well.
const WrapperFile = "/convox-env"

// Wrapper knows what the image of a layout starts with, and puts a program before
// that. It may be used from many goroutines at once, each with another layout.
type Wrapper interface {
	// Entrypoint reads the entry point; nil if there is none.
	Entrypoint(layout string) ([]string, error)
	// Wrap puts the program into the image and before its entry point, and changes
	// nothing else of it. After an error, which may be [ErrNoProgram], the image is
	// as it was.
	Wrap(layout string) error
}
