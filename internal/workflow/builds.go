package workflow

import (
	"context"
	"errors"
	"io"

	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// Builds lists the builds of an app, the newest first.
func Builds(ctx context.Context, j Job, in ListInputs) ([]rack.Build, error) {
	return j.Rack.Builds(ctx, in.App, in.Limit)
}

// BuildInput names one build.
type BuildInput struct {
	Target
	Build string `env:"build,notEmpty" usage:"id of the build"`
}

// BuildInfoInputs are the inputs of builds info.
type BuildInfoInputs struct {
	BuildInput
	Printed
}

// Check finds everything that is wrong with the inputs before anything is done.
func (in *BuildInput) Check(lookup func(string) (string, bool)) error {
	return options.Join(in.Target.Check(lookup), checkID("build", in.Build))
}

// BuildInfo returns one build.
func BuildInfo(ctx context.Context, j Job, in BuildInfoInputs) (rack.Build, error) {
	return j.Rack.Build(ctx, in.App, in.Build)
}

// BuildLogs prints the log of a build, to its end if the build still runs.
func BuildLogs(ctx context.Context, j Job, in BuildInput) error {
	return j.Log.Foreign(func(w io.Writer) error { return j.Rack.Log(ctx, in.App, in.Build, w) })
}

// CancelBuild ends a build that runs.
func CancelBuild(ctx context.Context, j Job, in BuildInput) error {
	err := j.Rack.CancelBuild(ctx, in.App, in.Build)
	if errors.Is(err, rack.ErrUnsupported) {
		err = j.stopBuilder(ctx, rack.Build{App: in.App, ID: in.Build})
	}
	if err != nil {
		return err
	}
	j.printf("Build %s was cancelled", in.Build)
	return nil
}
