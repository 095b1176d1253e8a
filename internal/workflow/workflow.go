// Package workflow is what each verb does, one file a verb: its inputs, its
// steps and its result.
package workflow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/commit"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// Job is what the verbs work with.
type Job struct {
	Rack    *rack.Client // nil for a check without one
	Log     ci.Log
	Outputs Outputs
	Commit  func(ctx context.Context, dir string) commit.Commit // of a directory
}

// Outputs takes the values that later steps may use. Each is written the moment
// it is known, so that it is there when a step fails or is cancelled later.
type Outputs interface {
	Output(name, value string) error
}

// Output writes one value. A value that cannot be passed on does not undo what
// the rack has done, so it is told and the work goes on.
func (j Job) Output(name, value string) {
	if err := j.Outputs.Output(name, value); err != nil {
		j.Log.Warn(fmt.Sprintf("output %s: %v", name, err))
	}
}

// printf writes a line of ours.
func (j Job) printf(format string, args ...any) {
	fmt.Fprintf(j.Log, format+"\n", args...)
}

// Values of the output status.
const (
	statusComplete  = "complete"
	statusFailed    = "failed"
	statusTimeout   = "timeout"
	statusCancelled = "cancelled"
)

// TimeoutError says that the time given for the whole verb was over. It is a
// [context.DeadlineExceeded], as are the much shorter limits of the network.
type TimeoutError struct{ After time.Duration }

func (e *TimeoutError) Error() string { return fmt.Sprintf("timeout after %s", e.After) }

// Is makes the error one of the kind that contexts end with.
func (e *TimeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// limited bounds a verb in time.
func limited(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, &TimeoutError{After: d})
}

// LeftError says that something goes on at the rack that was not followed to its
// end.
type LeftError struct {
	What string // build and its id
	Err  error  // why
}

func (e *LeftError) Error() string { return e.What + " was not followed to its end: " + e.Err.Error() }

// Unwrap gives the reason.
func (e *LeftError) Unwrap() error { return e.Err }

// statusOf is the status of a verb that ended in err before there was a result.
func statusOf(ctx context.Context, err error) string {
	var late *TimeoutError
	switch {
	case errors.As(err, &late), errors.As(context.Cause(ctx), &late):
		return statusTimeout
	case ctx.Err() != nil:
		return statusCancelled
	}
	return statusFailed
}
