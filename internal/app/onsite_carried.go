//go:build carrier

package app

import (
	"context"

	"github.com/convox-ci/convox-ci/internal/carried"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// beOnsite turns this process into the whole program, under the terms of
// startRack.
func (p *process) beOnsite() error {
	return carried.Exec(append([]string{"convox-ci"}, p.args...), p.environ)
}

// keyring is always empty.
type keyring struct{}

// openEstate is reached by the last stage of a step only.
func (p *process) openEstate(context.Context, workflow.EstateOrder) (workflow.Estate, error) {
	return nil, p.beOnsite()
}

// openEngine is never reached: see beOnsite.
func (p *process) openEngine(context.Context) (workflow.Engine, error) { return nil, p.beOnsite() }
