//go:build !linux

package container

import (
	"context"
	"fmt"
	"io"
)

var errNotLinux = fmt.Errorf("%w: they need Linux", ErrUnsupported)

// Engine runs nothing where there are no Linux containers.
type Engine struct{}

// New makes an engine that refuses everything.
func New(string, Images) *Engine { return &Engine{} }

// Create fails with [ErrUnsupported].
func (e *Engine) Create(context.Context, string, string) error {
	return errNotLinux
}

// Run fails, for there can be no container.
func (e *Engine) Run(id string, _ Command) (int, error) {
	return 0, &StartError{"there is no container " + id}
}

// Remove has nothing to remove.
func (e *Engine) Remove(string) error { return nil }

// Sweep has nothing to end.
func Sweep(string) error { return nil }

// Unpack fails with [ErrUnsupported].
func (e *Engine) Unpack(string, io.Reader) error { return errNotLinux }

// Pack fails with [ErrUnsupported].
func (e *Engine) Pack(string, string, io.Writer) error { return errNotLinux }

// Delete fails with [ErrUnsupported].
func (e *Engine) Delete(string, []string) error { return errNotLinux }
