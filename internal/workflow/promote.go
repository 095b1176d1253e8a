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

// PromoteOptions say how a release is promoted.
type PromoteOptions struct {
	Force          bool          `env:"force" envDefault:"false" usage:"promote even while the app is updating, and a release that is older than the active one"`
	Wait           bool          `env:"wait" envDefault:"true" usage:"wait until the release is live, and fail if it does not become so"`
	CancelPromote  bool          `env:"cancel-promote" envDefault:"false" usage:"when this run is cancelled, have the rack go back to the release before"`
	PromoteTimeout time.Duration `env:"promote-timeout" usage:"limit for promoting, waiting for others included (default: only that for everything)"`
}

// PromoteInputs are the inputs of promote.
type PromoteInputs struct {
	Target
	Release string `env:"release,notEmpty" usage:"id of the release"`
	PromoteOptions
	Limits
	Telling
	Recorded
}

// Check finds everything that is wrong with the inputs before anything is done.
func (in *PromoteInputs) Check(lookup func(string) (string, bool)) error {
	return options.Join(in.Target.Check(lookup), checkID("release", in.Release), in.Recorded.check(in.Rack))
}

// NotLiveError says that a release was to be promoted and is not live.
type NotLiveError struct {
	Release string
	rack.Outcome
	Begun bool  // the rack had begun, and was not told to go back
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
	ctx, done := limited(ctx, "timeout", in.Timeout)
	defer done()
	j.Output("release", in.Release)
	o, err := j.promote(ctx, promotion{app: in.App, release: in.Release, PromoteOptions: in.PromoteOptions})
	j.conclude(ctx, o, err)
	return o, err
}

// conclude writes the outputs of a promote that was to be, whether or not it
// came to one.
func (j Job) conclude(ctx context.Context, o rack.Outcome, err error) {
	status := statusComplete
	switch {
	case err == nil:
	case o.Verdict != "" && o.Verdict != rack.Live:
		status = string(o.Verdict)
	default:
		status = statusOf(ctx, err)
	}
	j.Output("status", status)
	j.Output("promoted", strconv.FormatBool(o.Verdict == rack.Live))
	if err != nil {
		j.Output("reason", reasonOf(err))
	}
}

// reasonOf is what the output reason says of an error.
func reasonOf(err error) string {
	var n *NotLiveError
	if errors.As(err, &n) {
		return n.Reason
	}
	return err.Error()
}

// promotion is one release on its way to become the active one.
type promotion struct {
	app, release string
	PromoteOptions
}

// promote is the part that deploy and rollback share.
func (j Job) promote(ctx context.Context, p promotion) (rack.Outcome, error) {
	ctx, done := limited(ctx, "promote-timeout", p.PromoteTimeout)
	defer done()
	defer j.Report.Begin("promote")()
	before, err := j.begin(ctx, p)
	if before.Name != "" {
		j.Output("previous-release", before.Release)
	}
	if err != nil {
		return p.neverBegan(ctx, before, err)
	}
	if !p.Wait {
		j.printf("The rack has begun to promote %s; nobody waits for the end", p.release)
		return rack.Outcome{}, nil
	}
	quiet := j.awaiting("release " + p.release + " to be live")
	o := j.Rack.Await(ctx, p.app, p.release, before.Release)
	quiet()
	if o.Verdict != rack.Live {
		var late *TimeoutError
		if o.Verdict == rack.TimedOut && errors.As(context.Cause(ctx), &late) {
			o.Reason += ": " + late.Error()
		}
		return o, &NotLiveError{Release: p.release, Outcome: o, Begun: !j.abandonPromote(ctx, p), Cause: context.Cause(ctx)}
	}
	j.printf("Release %s is live", p.release)
	j.urls(ctx, p.app)
	return o, nil
}

// neverBegan is the outcome of a promote that was not begun.
func (p promotion) neverBegan(ctx context.Context, app rack.App, err error) (rack.Outcome, error) {
	var newer *NotLiveError
	if errors.As(err, &newer) {
		return newer.Outcome, err
	}
	var busy *rack.BusyError
	if !errors.As(err, &busy) || ctx.Err() == nil {
		return rack.Outcome{}, err
	}
	o := rack.Outcome{Verdict: rack.Cancelled, Active: app.Release, Reason: busy.Error()}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		o.Verdict = rack.TimedOut
	}
	return o, &NotLiveError{Release: p.release, Outcome: o, Cause: context.Cause(ctx)}
}

// turn waits until nobody else changes the app, unless that is no matter.
func (j Job) turn(ctx context.Context, p promotion) (rack.App, error) {
	if p.Force {
		return j.Rack.App(ctx, p.app)
	}
	defer j.awaiting("app " + p.app + ", which others change")()
	return j.Rack.AwaitRest(ctx, p.app, func(a rack.App) {
		j.printf("Waiting: app %s is %s by someone else; its active release is %s", a.Name, a.Status, orNone(a.Release))
	})
}

func orNone(release string) string {
	if release == "" {
		return "none"
	}
	return release
}

// begin asks for the promote when it is its turn. If someone else was faster it
// waits for its turn again, and looks again at what is active then. It returns the
// app as it was before.
func (j Job) begin(ctx context.Context, p promotion) (rack.App, error) {
	for {
		before, err := j.turn(ctx, p)
		if err != nil {
			return before, err
		}
		if newer := j.compare(ctx, before, p); newer != nil {
			return before, newer
		}
		if ctx.Err() != nil {
			return before, context.Cause(ctx)
		}
		j.printf("Promoting %s", p.release)
		under, refused := j.Rack.BeginPromote(ctx, before, p.release, p.Force)
		if under && ctx.Err() != nil {
			return before, j.cutShort(ctx, p)
		}
		if refused != nil {
			refused = fmt.Errorf("promote %s: %w", p.release, refused)
		}
		if p.Force || !errors.Is(refused, rack.ErrForbidden) {
			return before, refused
		}
		now, err := j.Rack.App(ctx, p.app)
		if err != nil {
			return before, err
		}
		if now.Status == rack.AppRunning && now.Release == before.Release { // nobody was faster
			return before, refused
		}
	}
}

// cutShort is the end of a promote that was under way before its answer came.
func (j Job) cutShort(ctx context.Context, p promotion) error {
	cause := context.Cause(ctx)
	o := rack.Outcome{Verdict: rack.Cancelled, Reason: cause.Error()}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		o.Verdict = rack.TimedOut
	}
	return &NotLiveError{Release: p.release, Outcome: o, Begun: !j.abandonPromote(ctx, p), Cause: cause}
}

// abandonPromote goes back to the release before, where the run was cancelled
// and that is wanted, and tells whether it does.
func (j Job) abandonPromote(ctx context.Context, p promotion) (back bool) {
	if ctx.Err() == nil {
		return false
	}
	if !p.CancelPromote {
		j.printf("The rack goes on promoting %s", p.release)
		return false
	}
	ctx, done := cleanup(ctx)
	defer done()
	if err := j.Rack.CancelApp(ctx, p.app); err != nil {
		j.Log.Warn("the promote of " + p.release + " could not be cancelled and may go on: " + err.Error())
		return false
	}
	j.printf("The promote of %s was cancelled; the rack goes back", p.release)
	return true
}
