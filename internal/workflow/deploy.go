package workflow

import (
	"context"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// DeployInputs are the inputs of deploy: those of build, and what promote
// needs beside the release that the build makes.
type DeployInputs struct {
	BuildInputs
	Force bool `env:"force" envDefault:"false" usage:"promote even while the app is updating"`
	Wait  bool `env:"wait" envDefault:"true" usage:"wait until the release is live, and fail if it does not become so"`
}

// Deployed is what a deploy made.
type Deployed struct {
	Build   rack.Build
	Outcome rack.Outcome
}

// Deploy makes a build of a directory and promotes its release.
func Deploy(ctx context.Context, j Job, in DeployInputs) (Deployed, error) {
	ctx, done := limited(ctx, in.Timeout)
	defer done()
	var d Deployed
	var err error
	if d.Build, err = j.build(ctx, in.BuildInputs); err != nil {
		j.Output("status", statusOf(ctx, err))
		j.Output("promoted", "false")
		return d, err
	}
	j.Output("status", statusComplete)
	d.Outcome, err = j.promote(ctx, PromoteInputs{
		Target: in.Target, Release: d.Build.Release, Force: in.Force, Wait: in.Wait, // the limit holds already
	})
	return d, err
}
