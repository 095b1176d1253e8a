package workflow

import (
	"context"

	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// RunInputs are the inputs of run.
type RunInputs struct {
	Target
	Service string `env:"service,notEmpty" usage:"service whose image and environment the command has"`
	Command string `env:"command,notEmpty" usage:"command to run: for a shell on v2 racks, words on v3 racks"`
	Release string `env:"release" usage:"id of the release"`
	Detach  bool   `env:"detach" envDefault:"false" usage:"start the command, and neither wait for it nor show what it prints"`
	RunTime
	Limits
	Telling
}

// Check finds everything that is wrong with the inputs before anything is done.
func (in *RunInputs) Check(lookup func(string) (string, bool)) error {
	return options.Join(in.Target.Check(lookup), checkID("release", in.Release), checkService(in.Service))
}

// checkService refuses what cannot be the name of a service. An empty one has
// been found missing already.
func checkService(name string) error {
	if name == "" || serviceName.MatchString(name) {
		return nil
	}
	return refuse("service", name, "is not the name of a service", "lower-case letters, digits and -, beginning with a letter")
}

// Run runs a command once, in a process of its own, and returns when it has
// ended. A status other than 0 is an [*ExitError].
func Run(ctx context.Context, j Job, in RunInputs) error {
	ctx, done := limited(ctx, "timeout", in.Timeout)
	defer done()
	err := j.runOnce(ctx, in)
	j.finish(ctx, err)
	return err
}

func (j Job) runOnce(ctx context.Context, in RunInputs) error {
	defer j.Report.Begin("command")()
	app, err := j.Rack.App(ctx, in.App)
	if err != nil {
		return err
	}
	if in.Detach {
		fit, err := app.Fit(in.Command)
		if err != nil {
			return unfit("command", err)
		}
		p, err := j.Rack.BeginProcess(ctx, in.App, in.Service, rack.RunOptions{Command: fit, Release: in.Release})
		if p.ID != "" { // also where the run was cancelled meanwhile: it goes on
			j.Output("process", p.ID)
			j.printf("Process: %s", p.ID)
		}
		return err
	}
	return j.run(ctx, command{app: app, service: in.Service, text: in.Command, release: in.Release, limit: in.RunTimeout, input: j.Input, name: "the command", given: "command",
		began: func(process string) { j.Output("process", process) }})
}
