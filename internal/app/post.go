package app

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// postLimit is how long the last stage of a step may take. Jobs that were cancelled
// wait for it.
const postLimit = 30 * time.Second

// postCommand is the last stage of a step on GitHub, a container of its own with
// the inputs of the step. It ends what the step has left behind if it was killed,
// and never fails: the step has its verdict.
func (p *process) postCommand() *cobra.Command {
	left := workflow.Remembered(func(name string) string { return ci.State(p.environ, name) })
	cmd := verb(p, "post", "End what a step that was killed has left behind", "", func(ctx context.Context, in workflow.LeftInputs) error {
		return p.endLeft(ctx, in.Target, left)
	})
	end := cmd.RunE
	cmd.Hidden, cmd.Args, cmd.DisableFlagParsing = true, cobra.ArbitraryArgs, true
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if left == (workflow.Left{}) {
			return nil
		}
		if err := end(cmd, nil); err != nil {
			for _, part := range parts(err) {
				p.console.Warn(part.Error())
			}
		}
		return nil
	}
	return cmd
}

// endLeft ends what goes on of what was left behind. A rack in the process of the
// step has ended with that.
func (p *process) endLeft(ctx context.Context, in workflow.Target, left workflow.Left) (err error) {
	if in.Rack == workflow.LocalRack {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, postLimit)
	defer cancel()
	if left.Estate != "" {
		err = p.beOnsite()
	} else {
		err = in.Check(p.lookup) // a build that was recorded without the rack needs no key to it
	}
	if err != nil {
		return err
	}
	client, done, err := p.connect(ctx, in)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	return workflow.EndLeft(ctx, workflow.Job{Rack: client, Log: p.console, Outputs: p.console, Estate: p.openEstate}, in, left)
}
