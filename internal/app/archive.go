package app

import (
	"context"
	"errors"

	"github.com/convox-ci/convox-ci/internal/workflow"
)

func (p *process) exportBuild(ctx context.Context, in workflow.ExportInputs) error {
	return p.with(ctx, in.Where(), func(j workflow.Job) error { return workflow.ExportBuild(ctx, j, in, p.streams.Out) })
}

// copyBuild connects to two racks, or to one of them for both apps.
func (p *process) copyBuild(ctx context.Context, in workflow.CopyInputs) error {
	return p.with(ctx, in.Where(), func(from workflow.Job) (err error) {
		to := from
		if !in.SameRack() {
			client, done, failed := p.connect(ctx, in.To())
			if failed != nil {
				return failed
			}
			defer func() { err = errors.Join(err, done()) }()
			to.Rack = client
		}
		if err := ensureApp(ctx, to.Rack, in.To()); err != nil {
			return err
		}
		_, err = workflow.CopyBuild(ctx, from, to, in)
		return err
	})
}
