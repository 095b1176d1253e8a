package app

import (
	"context"
	"errors"
	"strings"

	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// BuildInputs are the inputs of build, which is a step of its own here: what it
// made is for others to use.
type BuildInputs struct {
	workflow.BuildInputs
	ExportEnv bool `env:"export-env" envDefault:"true" usage:"let later steps have the ids of the release and the build as RELEASE and BUILD; promote and run take RELEASE for their release"`
}

// build makes a build. On CircleCI all outputs are variables of later steps anyway.
func (p *process) build(ctx context.Context, j workflow.Job, in BuildInputs) error {
	if in.ExportEnv && p.run.System == ci.GitHub {
		j.Outputs = exported{p.console}
	}
	_, err := workflow.Build(ctx, j, in.BuildInputs)
	return err
}

// exported is outputs of which the ids are variables as well.
type exported struct{ *ci.Console }

func (e exported) Output(name, value string) error {
	err := e.Console.Output(name, value)
	switch name {
	case "build", "release":
		if failed := e.Export(strings.ToUpper(name), value); !errors.Is(failed, ci.ErrNoEnvironment) { // of a runner that is too old
			err = errors.Join(err, failed)
		}
	}
	return err
}
