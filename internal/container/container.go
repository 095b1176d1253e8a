// Package container runs commands in containers of images on this machine, by
// means of the OCI runtime runc.
package container

import (
	"context"
	"errors"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// ErrUnsupported: this machine cannot run containers; the text says what is missing.
var ErrUnsupported = errors.New("containers cannot run here")

// Images finds an image by its reference. Its layers are read, if at all, before
// ctx ends.
type Images func(ctx context.Context, ref string) (v1.Image, error)

// Command is what is run in a container.
type Command struct {
	// Line is run by sh -c. An image without sh, as one from scratch, has the
	// line taken apart into words as a shell does it with quotes, and the first
	// word run with the others: variables, pipes and the like are then only text.
	Line       string
	Entrypoint bool      // put the image's entry point before it
	Wrapper    string    // file that is put before it instead, without an entry point, if the image has it; "" for none
	Env        []string  // NAME=VALUE; they take the place of the image's
	Terminal   *Size     // run under a terminal of that size; nil for none
	Input      io.Reader // nil for none; may be read on until Run returns, and one Read longer
	Output     io.Writer // gets output and errors as they come
}

// Size is that of a terminal, in characters; zeros where it is not known.
type Size struct {
	Rows, Columns uint16
}

// StartError is the error of a command that could not be started, as when there
// is no such program in the image.
type StartError struct {
	Reason string // in the words of the runtime
}

// Error says why.
func (e *StartError) Error() string { return "the command could not be started: " + e.Reason }
