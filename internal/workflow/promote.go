package workflow

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// PromoteInputs are the inputs of promote.
type PromoteInputs struct {
	Target
	Release string        `env:"release,notEmpty" usage:"id of the release"`
	Force   bool          `env:"force" envDefault:"false" usage:"promote even while the app is updating"`
	Wait    bool          `env:"wait" envDefault:"true" usage:"wait until the release is live, and fail if it does not become so"`
	Timeout time.Duration `env:"timeout" envDefault:"60m" usage:"limit for everything together"`
}

// Check finds everything that is wrong with the inputs before anything is done.
func (in *PromoteInputs) Check(lookup func(string) (string, bool)) error {
	return options.Join(in.Target.Check(lookup), checkID("release", in.Release))
}

// NotLiveError says that a promote was begun and that the release is not live.
type NotLiveError struct {
	Release string
	rack.Outcome
	Cause error // why the waiting was ended before a verdict, nil if it was not
}

func (e *NotLiveError) Error() string {
	return fmt.Sprintf("release %s is not live: %s: %s", e.Release, e.Verdict, e.Reason)
}

// Unwrap gives the cause.
func (e *NotLiveError) Unwrap() error { return e.Cause }

// Promote makes a release the active one and says truthfully whether it is
// live. The output promoted is true only then.
func Promote(ctx context.Context, j Job, in PromoteInputs) (rack.Outcome, error) {
	ctx, done := limited(ctx, in.Timeout)
	defer done()
	j.Output("release", in.Release)
	return j.promote(ctx, in)
}

// promote is the part that deploy shares.
func (j Job) promote(ctx context.Context, in PromoteInputs) (o rack.Outcome, err error) {
	defer func() { j.Output("promoted", strconv.FormatBool(o.Verdict == rack.Live)) }()
	before, err := j.Rack.App(ctx, in.App)
	if err != nil {
		return o, err
	}
	j.printf("Promoting %s", in.Release)
	lost, err := j.begin(ctx, in)
	if err != nil {
		return o, err
	}
	if !in.Wait {
		j.printf("The rack has begun to promote %s; nobody waits for the end", in.Release)
		return o, nil
	}
	o = j.Rack.Await(ctx, in.App, in.Release, before.Release)
	if lost != nil && o.Verdict == rack.RolledBack { // nothing moved: it never began
		return o, lost
	}
	if o.Verdict != rack.Live {
		return o, &NotLiveError{Release: in.Release, Outcome: o, Cause: context.Cause(ctx)}
	}
	j.printf("Release %s is live", in.Release)
	return o, nil
}

// begin asks for the promote. If the answer got lost on its way the rack may
// have begun all the same: where the end is waited for, that will tell.
func (j Job) begin(ctx context.Context, in PromoteInputs) (lost, err error) {
	err = j.Rack.Promote(ctx, in.App, in.Release, in.Force)
	if err == nil {
		return nil, nil
	}
	err = fmt.Errorf("promote %s: %w", in.Release, err)
	if ctx.Err() != nil || !in.Wait || !errors.Is(err, rack.ErrUnavailable) {
		return nil, err
	}
	j.Log.Warn(err.Error() + "; looking at the app for what became of it")
	return err, nil
}
