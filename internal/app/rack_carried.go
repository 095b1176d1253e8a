//go:build carrier

package app

import (
	"context"

	"github.com/convox-ci/convox-ci/internal/carried"
)

// startRack turns this process into the whole program, which begins anew with the
// same arguments and starts the rack. Up to here nothing was done that it may not
// do again, nothing was read from the input, and no line is held back.
func (p *process) startRack(context.Context, rackOptions) (*runningRack, error) {
	return nil, carried.Exec(append([]string{"convox-ci"}, p.args...), p.environ)
}

// makeStores does the same as startRack.
func (p *process) makeStores(context.Context, StoreInputs) ([]string, error) {
	return nil, carried.Exec(append([]string{"convox-ci"}, p.args...), p.environ)
}
