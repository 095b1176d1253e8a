package workflow

import (
	"context"

	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// Env returns the variables of an app's newest release, promoted or not.
func Env(ctx context.Context, j Job, in ListEnvInputs) (map[string]string, error) {
	r, _, err := j.Rack.NewestRelease(ctx, in.App)
	return r.Variables(), err
}

// ListEnvInputs are the inputs of env.
type ListEnvInputs struct{ Target }

// EnvGetInputs are the inputs of env get.
type EnvGetInputs struct {
	Target
	Name string `env:"name" usage:"name of the variable (default: all)"`
}

// Data tells that standard output is for the values alone.
func (EnvGetInputs) Data() bool { return true }

// NoVariableError says that an app has no such variable.
type NoVariableError struct{ App, Name string }

func (e *NoVariableError) Error() string { return "app " + e.App + " has no variable " + e.Name }

// EnvGet returns the variables of an app's newest release as lines of
// NAME=VALUE, or the value of one.
func EnvGet(ctx context.Context, j Job, in EnvGetInputs) (string, error) {
	r, _, err := j.Rack.NewestRelease(ctx, in.App)
	if err != nil {
		return "", err
	}
	env := r.Variables()
	if in.Name == "" {
		return rack.FormatEnv(env), nil
	}
	value, ok := env[in.Name]
	if !ok {
		return "", &NoVariableError{App: in.App, Name: in.Name}
	}
	return value, nil
}

// EnvSetInputs are the inputs of env set.
type EnvSetInputs struct {
	Target
	EnvInputs
	Promote bool `env:"promote" envDefault:"false" usage:"promote the release with the new environment"`
	PromoteOptions
	Limits
}

// Check finds everything that is wrong with the inputs before anything is done.
func (in *EnvSetInputs) Check(lookup func(string) (string, bool)) error {
	var none error
	if in.Env == nil && in.EnvFile == "" {
		none = refuse("set-env", "", "is required", "NAME=VALUE, or env-file in its place")
	}
	return options.Join(in.Target.Check(lookup), in.EnvInputs.check(lookup), none)
}

// EnvSet changes variables of an app, which makes a release, and promotes that
// if it is wanted.
func EnvSet(ctx context.Context, j Job, in EnvSetInputs) (rack.Outcome, error) {
	ctx, done := limited(ctx, "timeout", in.Timeout)
	defer done()
	r, err := j.setEnv(ctx, in.App, in.EnvInputs)
	if err == nil && r.ID != "" {
		j.Output("release", r.ID)
	}
	if err != nil || !in.Promote || r.ID == "" {
		j.finish(ctx, err)
		return rack.Outcome{}, err
	}
	o, err := j.promote(ctx, promotion{app: in.App, release: r.ID, PromoteOptions: in.PromoteOptions})
	j.conclude(ctx, o, err)
	return o, err
}
