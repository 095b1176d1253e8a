package workflow

import (
	"context"

	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// DeployInputs are the inputs of deploy: those of build, and what is done with
// the release that the build makes.
type DeployInputs struct {
	BuildInputs
	PromoteOptions
	Hooks
	EnvInputs
	Recorded
}

// Check finds everything that is wrong with the inputs before anything is done.
func (in *DeployInputs) Check(lookup func(string) (string, bool)) error {
	return options.Join(in.Target.Check(lookup), in.checkBuild(lookup), in.EnvInputs.check(lookup),
		in.Recorded.check(in.Rack), checkHook("before-promote", in.BeforePromote), checkHook("after-promote", in.AfterPromote))
}

// Deployed is what a deploy made.
type Deployed struct {
	Build   rack.Build
	Outcome rack.Outcome
}

// Deploy makes a build of a directory and promotes its release.
func Deploy(ctx context.Context, j Job, in DeployInputs) (Deployed, error) {
	ctx, done := limited(ctx, "timeout", in.Timeout)
	defer done()
	d, err := j.deploy(ctx, in)
	j.conclude(ctx, d.Outcome, err)
	return d, err
}

// deploy is Deploy without its last word. Variables are set first, since the
// build and its release take the newest ones.
func (j Job) deploy(ctx context.Context, in DeployInputs) (d Deployed, err error) {
	if in.EnvInputs.given() {
		end := j.Report.Begin("env")
		_, err := j.setEnv(ctx, in.App, in.EnvInputs)
		if end(); err != nil {
			return d, err
		}
	}
	if d.Build, err = j.build(ctx, in.BuildInputs); err != nil {
		return d, err
	}
	release := d.Build.Release
	if err := j.hook(ctx, in, HookError{Hook: "before-promote", Release: release}, in.BeforePromote); err != nil {
		return d, err
	}
	d.Outcome, err = j.promote(ctx, promotion{app: in.App, release: release, PromoteOptions: in.PromoteOptions})
	if err != nil {
		return d, err
	}
	live := d.Outcome.Verdict == rack.Live
	return d, j.hook(ctx, in, HookError{Hook: "after-promote", Release: release, Live: live}, in.AfterPromote)
}
