package workflow

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Limits bound a verb, and parts of it, in time.
type Limits struct {
	Timeout time.Duration `env:"timeout" envDefault:"60m" usage:"limit for everything together"`
}

// BuildLimits bound the making of a build. Zero is no limit but that for
// everything.
type BuildLimits struct {
	Limits
	UploadTimeout time.Duration `env:"upload-timeout" usage:"limit for packing and uploading (default: only that for everything)"`
	BuildTimeout  time.Duration `env:"build-timeout" usage:"limit for the build on the rack, waiting for its turn included (default: only that for everything)"`
}

// TimeoutError says that the time given by an input was over. It is a
// [context.DeadlineExceeded], as are the much shorter limits of the network.
type TimeoutError struct {
	Input string // timeout, or that of a phase
	After time.Duration
}

func (e *TimeoutError) Error() string { return fmt.Sprintf("%s after %s", e.Input, e.After) }

// Is makes the error one of the kind that contexts end with.
func (e *TimeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// limited bounds a verb, or a phase of it, by an input; zero is no limit.
func limited(ctx context.Context, input string, d time.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, d, &TimeoutError{Input: input, After: d})
}

// cleanupLimit is for ending what goes on at the rack once a run was cancelled.
// GitHub sends SIGINT, SIGTERM 7.5 seconds later and SIGKILL after 10; something is
// left for what comes after: outputs, and the end of a local rack.
const cleanupLimit = 4 * time.Second

// cleanup is a context for ending what was begun, whatever became of ctx.
func cleanup(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
}

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
