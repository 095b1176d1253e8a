package workflow

import (
	"context"
	"errors"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// LeftError says that something was begun at the rack and not followed to its
// end, and what became of it.
type LeftError struct {
	What  string // build and its id
	Ended bool   // it was ended; else it goes on
	Err   error  // why it was not followed
}

func (e *LeftError) Error() string {
	if e.Ended {
		return e.What + " was cancelled: " + e.Err.Error()
	}
	return e.What + " was not followed to its end: " + e.Err.Error()
}

// Unwrap gives the reason.
func (e *LeftError) Unwrap() error { return e.Err }

// abandonBuild ends a build that nobody waits for any more, where the run was
// cancelled or its time was over; a build that only cannot be seen goes on. It
// says what it could do.
func (j Job) abandonBuild(ctx context.Context, b rack.Build, cause error) error {
	left := &LeftError{What: "build " + b.ID, Err: cause}
	if ctx.Err() == nil {
		j.remember(rememberedBuild, "")
		return left
	}
	ctx, done := cleanup(ctx)
	defer done()
	err := j.Rack.CancelBuild(ctx, b.App, b.ID)
	if errors.Is(err, rack.ErrUnsupported) {
		err = j.stopBuilder(ctx, b)
	}
	switch {
	case err == nil:
		left.Ended = true
		j.printf("Build %s was cancelled on the rack", b.ID)
	case errors.Is(err, rack.ErrConflict): // also where a first answer was lost
		left.Ended = true
		j.printf("Build %s has ended on the rack", b.ID)
	case errors.Is(err, rack.ErrUnsupported):
		j.Log.Warn("build " + b.ID + " goes on: this rack cannot cancel a build; see convox-ci builds logs " + b.ID)
	default:
		j.Log.Warn("build " + b.ID + " could not be cancelled and may go on: " + err.Error() + "; see convox-ci builds logs " + b.ID)
		return left // still remembered: there is another try at the end of the job
	}
	j.remember(rememberedBuild, "")
	return left
}

// stopBuilder ends a build by the process that makes it, where the rack says
// which that is (v3 racks before 3.25.7).
func (j Job) stopBuilder(ctx context.Context, b rack.Build) error {
	now, err := j.Rack.Build(ctx, b.App, b.ID)
	switch {
	case err != nil:
		return err
	case now.Final():
		return rack.ErrConflict
	case now.Process == "":
		return rack.ErrUnsupported
	}
	return j.Rack.StopProcess(ctx, b.App, now.Process)
}
