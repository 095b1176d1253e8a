package workflow

import (
	"context"
	"io"

	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// BuildsInputs are the inputs of builds.
type BuildsInputs struct {
	Target
	Limit int `env:"limit" envDefault:"10" usage:"how many builds at most"`
}

// Builds lists the builds of an app, the newest first.
func Builds(ctx context.Context, j Job, in BuildsInputs) ([]rack.Build, error) {
	return j.Rack.Builds(ctx, in.App, in.Limit)
}

// BuildInput names one build.
type BuildInput struct {
	Target
	Build string `env:"build,notEmpty" usage:"id of the build"`
}

// Check finds everything that is wrong with the inputs before anything is done.
func (in *BuildInput) Check(lookup func(string) (string, bool)) error {
	return options.Join(in.Target.Check(lookup), checkID("build", in.Build))
}

// BuildInfo returns one build.
func BuildInfo(ctx context.Context, j Job, in BuildInput) (rack.Build, error) {
	return j.Rack.Build(ctx, in.App, in.Build)
}

// BuildLogs prints the log of a build, to its end if the build still runs.
func BuildLogs(ctx context.Context, j Job, in BuildInput) error {
	return j.Log.Foreign(func(w io.Writer) error { return j.Rack.Log(ctx, in.App, in.Build, w) })
}
