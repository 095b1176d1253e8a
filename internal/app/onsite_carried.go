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

// openEngine is never reached: see beOnsite.
func (p *process) openEngine(context.Context) (workflow.Engine, error) { return nil, p.beOnsite() }
