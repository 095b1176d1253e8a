package app

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// commands is the tree of commands. Flags are made from the input structs, so
// that their names are those of the inputs.
func (p *process) commands() *cobra.Command {
	root := &cobra.Command{
		Use:   "convox-ci",
		Short: "Builds and deploys apps to Convox Racks from any CI",
		Long: "Builds and deploys apps to Convox Racks from any CI.\n\n" +
			"Every flag is also an input: --no-cache is INPUT_NO-CACHE, INPUT_NO_CACHE, PLUGIN_NO_CACHE\n" +
			"or CONVOX_NO_CACHE in the environment. A flag wins over the environment.",
		SilenceErrors: true, SilenceUsage: true,
		Args: refuseArguments,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetOut(p.console)
	root.SetErr(p.console)
	root.SetFlagErrorFunc(flagError)
	builds := verb(p, "builds", "List the builds of an app", "", p.builds)
	builds.AddCommand(
		verb(p, "info", "Show a build", "build", p.buildInfo),
		verb(p, "logs", "Print the log of a build", "build", p.buildLogs),
	)
	apps := &cobra.Command{Use: "apps", Short: "The apps of a rack", Args: refuseArguments, RunE: help}
	apps.AddCommand(verb(p, "create", "Create an app", "app", p.createApp))
	racks := &cobra.Command{Use: "rack", Short: "A Rack on this machine", Args: refuseArguments, RunE: help}
	racks.AddCommand(verb(p, "serve", "Be a Rack on this machine", "", p.serve))
	root.RunE = help
	root.AddCommand(
		verb(p, "build", "Build an app", "context", p.build),
		verb(p, "deploy", "Build an app and promote the release", "context", p.deploy),
		verb(p, "promote", "Promote a release and wait until it is live", "release", p.promote),
		verb(p, "check", "Look at what a deploy needs, and change nothing", "context", p.check),
		apps, builds, racks,
		&cobra.Command{Use: "version", Short: "Print the version", Args: refuseArguments, RunE: func(*cobra.Command, []string) error {
			fmt.Fprintln(p.console, version())
			return nil
		}},
	)
	return root
}

func help(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// verb makes the command of one verb. Its inputs are read from flags and
// environment; positional names the input that may also be given as an argument,
// "" for none.
func verb[Inputs any](p *process, name, short, positional string, do func(context.Context, Inputs) error) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: short, Args: refuseArguments}
	fields := options.Fields(new(Inputs))
	flags := addFlags(cmd.Flags(), fields)
	if positional != "" {
		cmd.Use += " [" + argument(positional) + "]"
		cmd.Args = oneArgument
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		values, err := p.values(fields, flags, positional, args)
		if err != nil {
			return err
		}
		p.settleVoice(values)
		p.maskSecrets(fields, values)
		var in Inputs
		err = options.Parse(&in, values)
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

func (p *process) build(ctx context.Context, in workflow.BuildInputs) error {
	return p.with(ctx, in.Target, func(j workflow.Job) error {
		if err := ensureApp(ctx, j.Rack, in.Target); err != nil {
			return err
		}
		_, err := workflow.Build(ctx, j, in)
		return err
	})
}

func (p *process) deploy(ctx context.Context, in workflow.DeployInputs) error {
	return p.with(ctx, in.Target, func(j workflow.Job) error {
		if err := ensureApp(ctx, j.Rack, in.Target); err != nil {
			return err
		}
		_, err := workflow.Deploy(ctx, j, in)
		return err
	})
}

func (p *process) promote(ctx context.Context, in workflow.PromoteInputs) error {
	return p.with(ctx, in.Target, func(j workflow.Job) error {
		_, err := workflow.Promote(ctx, j, in)
		return err
	})
}

func (p *process) createApp(ctx context.Context, in workflow.AppInput) error {
	return p.with(ctx, in.Target, func(j workflow.Job) error {
		_, err := workflow.CreateApp(ctx, j, in)
		return err
	})
}

func (p *process) builds(ctx context.Context, in workflow.BuildsInputs) error {
	return p.with(ctx, in.Target, func(j workflow.Job) error {
		list, err := workflow.Builds(ctx, j, in)
		if err != nil {
			return err
		}
		return printBuilds(p.console, list)
	})
}

func (p *process) buildInfo(ctx context.Context, in workflow.BuildInput) error {
	return p.with(ctx, in.Target, func(j workflow.Job) error {
		b, err := workflow.BuildInfo(ctx, j, in)
		if err != nil {
			return err
		}
		return printBuild(p.console, b)
	})
}

func (p *process) buildLogs(ctx context.Context, in workflow.BuildInput) error {
	return p.with(ctx, in.Target, func(j workflow.Job) error { return workflow.BuildLogs(ctx, j, in) })
}
