// Package image says what is asked of a builder of container images and what
// it hands over. The packages below it are the ways to have one.
package image

import (
	"context"
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
}

// Builder builds images. Build writes one image, and nothing else, into the
// layout of the spec; log gets what a person may want to read, as it comes. A
// builder may be used from many goroutines at once.
type Builder interface {
	Build(ctx context.Context, s Spec, log io.Writer) error
}
