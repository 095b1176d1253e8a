package app

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

func help(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// group is a command that only has others below it.
func group(name, short string, below ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: short, Args: refuseArguments, RunE: help}
	cmd.AddCommand(below...)
	return cmd
}

// verb makes the command of one verb. Its inputs are read from flags and
// environment; positional names those that may also be given as arguments, with
// dots behind the last one if that takes all the rest.
func verb[Inputs any](p *process, name, short, positional string, do func(context.Context, Inputs) error) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: short}
	fields := options.Fields(new(Inputs))
	flags := addFlags(cmd.Flags(), fields)
	takes := positionals(strings.Fields(positional))
	for _, t := range takes {
		cmd.Use += " [" + argument(t) + "]"
	}
	cmd.Args = takes.check
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		values, err := p.values(fields, flags, takes, args)
		if err != nil {
			return err
		}
		var in Inputs
		p.verb = name
		err = options.Parse(&in, values)
		if d, ok := any(&in).(interface{ Data() bool }); ok {
			p.settleVoice(d.Data())
		}
		p.maskSecrets(fields, values)
		if err == nil { // else nobody knows what is wanted
			p.heed(in)
		}
		if c, ok := any(&in).(interface {
			Check(func(string) (string, bool)) error
		}); ok {
			err = options.Join(err, c.Check(p.lookup))
		}
		if err != nil {
			return err
		}
		return do(cmd.Context(), in)
	}
	return cmd
}

// placed are inputs that say where something is done.
type placed interface{ Where() workflow.Target }

// on carries a workflow out where its inputs say.
func on[In placed](p *process, do func(context.Context, workflow.Job, In) error) func(context.Context, In) error {
	return func(ctx context.Context, in In) error {
		if b, ok := any(in).(interface{ Onsite() bool }); ok && b.Onsite() {
			if err := p.beOnsite(); err != nil {
				return err
			}
		}
		return p.with(ctx, in.Where(), func(j workflow.Job) error {
			return p.record(ctx, in, func() error { return do(ctx, j, in) })
		})
	}
}

// onOwn is on for what makes something of an app: the rack in this process has
// the app made first.
func onOwn[In placed](p *process, do func(context.Context, workflow.Job, In) error) func(context.Context, In) error {
	return on(p, func(ctx context.Context, j workflow.Job, in In) error {
		if err := ensureApp(ctx, j.Rack, in.Where()); err != nil {
			return err
		}
		return do(ctx, j, in)
	})
}

// only drops the result of a workflow, which has said what there is to say.
func only[In, Out any](do func(context.Context, workflow.Job, In) (Out, error)) func(context.Context, workflow.Job, In) error {
	return func(ctx context.Context, j workflow.Job, in In) error {
		_, err := do(ctx, j, in)
		return err
	}
}

// shown is a workflow whose result is printed.
func shown[In, Out any](do func(context.Context, workflow.Job, In) (Out, error), show func(In, Out) error) func(context.Context, workflow.Job, In) error {
	return func(ctx context.Context, j workflow.Job, in In) error {
		out, err := do(ctx, j, in)
		if err != nil {
			return err
		}
		return show(in, out)
	}
}
