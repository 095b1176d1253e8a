package rack

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Verdict is how a promote ended. Only [Live] is a success.
type Verdict string

// The verdicts.
const (
	Live       Verdict = "live"        // the release is the app's active one, and the app is at rest
	RolledBack Verdict = "rolled-back" // the rack went back to the release before
	Superseded Verdict = "superseded"  // another release became the active one
	TimedOut   Verdict = "timeout"     // not decided before the deadline of the context
	Cancelled  Verdict = "cancelled"   // the one who waited gave up
	Unknown    Verdict = "unknown"     // the rack could not be asked any more, or the app is in a state that says nothing
)

const (
	// settleTime is how long an app may look at rest before an update that was
	// accepted shows: racks on CloudFormation answer from a cache of 5 seconds.
	settleTime = 30 * time.Second
	// steadyTime is how long a v3 app, which shows the new release before the
	// update has begun, must stay at rest with it to count as live.
	steadyTime = 15 * time.Second
)

// Outcome is a verdict and what it was reached by.
type Outcome struct {
	Verdict Verdict
	Active  string // id of the active release when the verdict was reached, "" if not known
	Reason  string // for a person; "" for Live
}

// Await watches an app after a promote of release until there is a verdict.
// previous is the id that was active before, "" if there was none. The verdict
// comes from release ids: a status alone proves nothing, since an app that was
// rolled back is at rest as well.
func (c *Client) Await(ctx context.Context, app, release, previous string) Outcome {
	j := judge{release: release, previous: previous, begun: time.Now()}
	polls := newPolls()
	for {
		a, err := c.App(ctx, app)
		if ctx.Err() != nil {
			return j.unfinished(ctx)
		}
		if polls.hopeless(err) {
			return Outcome{Verdict: Unknown, Active: j.active, Reason: err.Error()}
		}
		if err == nil {
			if o, ok := j.look(a, time.Now()); ok {
				return o
			}
		}
		if sleep(ctx, pollInterval) != nil {
			return j.unfinished(ctx)
		}
	}
}

// judge decides from the looks at an app.
type judge struct {
	release, previous string
	begun             time.Time
	moved             bool      // the app was seen updating or going back
	undone            bool      // the app was seen going back
	steady            time.Time // since when it is at rest with the release; zero if it is not
	active, status    string    // of the last look
}

// look takes one look into account and tells whether that decides.
func (j *judge) look(a App, now time.Time) (Outcome, bool) {
	j.active, j.status = a.Release, a.Status
	if a.Status == AppRunning && a.Release == j.release {
		if j.steady.IsZero() {
			j.steady = now
		}
		return j.restWith(a, now)
	}
	j.steady = time.Time{}
	switch a.Status {
	case AppFailed:
		return Outcome{Verdict: Unknown, Active: a.Release, Reason: "the app is in status failed"}, true
	case AppUpdating:
		j.moved = true
	case AppRollback:
		j.moved, j.undone = true, true
	case AppRunning:
		return j.restWithout(a, now)
	}
	return Outcome{}, false
}

// restWith judges an app at rest with the release that was promoted.
func (j *judge) restWith(a App, now time.Time) (Outcome, bool) {
	again := j.release == j.previous
	if again && j.undone {
		return Outcome{Verdict: RolledBack, Active: a.Release, Reason: "the rack undid the update; " + named(a.Release) + " is active as before"}, true
	}
	var live bool
	switch {
	case changesReleaseAtPromote(a):
		live = j.moved && !j.undone || now.Sub(j.steady) >= steadyTime
	case again: // its id alone does not show whether the update has begun
		live = j.moved || now.Sub(j.begun) >= settleTime
	default:
		live = true
	}
	return Outcome{Verdict: Live, Active: a.Release}, live
}

// restWithout judges an app at rest with another release.
func (j *judge) restWithout(a App, now time.Time) (Outcome, bool) {
	if !j.moved && now.Sub(j.begun) < settleTime {
		return Outcome{}, false // the update does not show yet
	}
	if j.undone || a.Release == j.previous {
		return Outcome{Verdict: RolledBack, Active: a.Release, Reason: "the rack went back to " + named(a.Release)}, true
	}
	return Outcome{Verdict: Superseded, Active: a.Release, Reason: named(a.Release) + " is active instead"}, true
}

// unfinished is the outcome when the waiting itself was ended.
func (j *judge) unfinished(ctx context.Context) Outcome {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) { // the cause may be any error
		return Outcome{Verdict: Cancelled, Active: j.active, Reason: context.Cause(ctx).Error()}
	}
	waited := time.Since(j.begun).Round(time.Second)
	o := Outcome{Verdict: TimedOut, Active: j.active, Reason: fmt.Sprintf("nothing was seen of the app in %s", waited)}
	if j.status != "" {
		o.Reason = fmt.Sprintf("after %s the app is %s with %s", waited, j.status, named(j.active))
	}
	return o
}

func named(release string) string {
	if release == "" {
		return "no release"
	}
	return "release " + release
}
