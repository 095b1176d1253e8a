package workflow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// Names under which a step remembers what it has begun, see [Job].
const (
	rememberedBuild    = "build"
	rememberedExternal = "external" // a build that is made on this machine
	rememberedEstate   = "estate"   // the same, recorded without the rack
	rememberedProcess  = "process"
)

// Left is what a step that was killed has left behind on a rack.
type Left struct {
	Build    string // id, "" for none
	External string // id of a build that was made on this machine, "" for none
	Estate   string // the same for one that was recorded without the rack
	Process  string // id, "" for none
}

// LeftInputs are those of a step of which something is left. They were checked when
// it began.
type LeftInputs struct {
	Target
	AWSRole
}

// Check finds nothing: a build that was recorded without the rack needs no key to it.
func (in *LeftInputs) Check(func(string) (string, bool)) error { return nil }

// Remembered reads what earlier stages of the step have kept.
func Remembered(state func(name string) string) Left {
	return Left{Build: state(rememberedBuild), External: state(rememberedExternal), Estate: state(rememberedEstate), Process: state(rememberedProcess)}
}

// EndLeft ends what still goes on of what was left behind, and says so. What has
// ended in the meantime is no matter.
func EndLeft(ctx context.Context, j Job, in Target, left Left) error {
	return errors.Join(j.endBuild(ctx, in.App, left.Build), j.endExternal(ctx, in.App, left.External), j.endInEstate(ctx, in, left.Estate),
		j.endProcess(ctx, in.App, left.Process))
}

func (j Job) endBuild(ctx context.Context, app, id string) error {
	if id == "" {
		return nil
	}
	b, err := j.Rack.Build(ctx, app, id)
	if err != nil || b.Final() {
		return err
	}
	err = j.Rack.CancelBuild(ctx, app, id)
	if errors.Is(err, rack.ErrUnsupported) {
		err = j.stopBuilder(ctx, rack.Build{App: app, ID: id})
	}
	switch {
	case errors.Is(err, rack.ErrConflict): // it has just ended
		return nil
	case errors.Is(err, rack.ErrUnsupported):
		return errors.New("build " + id + " still runs: this rack cannot cancel a build; see convox-ci builds logs " + id)
	case err != nil:
		return errors.New("build " + id + " still runs and could not be cancelled: " + err.Error())
	}
	j.Log.Warn("build " + id + " was still running when its step had ended; it was cancelled")
	return nil
}

// endExternal ends a build whose maker was killed.
func (j Job) endExternal(ctx context.Context, app, id string) error {
	if id == "" {
		return nil
	}
	return j.endIn(ctx, j.Rack, app, id)
}

// endInEstate does the same where the build was recorded without the rack.
func (j Job) endInEstate(ctx context.Context, in Target, id string) error {
	if id == "" {
		return nil
	}
	e, err := j.findEstate(ctx, in, true)
	if err != nil {
		return fmt.Errorf("build %s is not recorded to its end: %w", id, err)
	}
	return j.endIn(ctx, e, in.App, id)
}

func (j Job) endIn(ctx context.Context, books Books, app, id string) error {
	before, err := books.Build(ctx, app, id)
	if err != nil || before.Final() {
		return err
	}
	b, err := j.settle(ctx, books, app, id, func() (string, error) { return "", nil })
	if err == nil {
		j.Log.Warn("build " + id + " was not recorded to its end when its step had ended; it is " + b.Status)
	}
	return err
}

// settle records the end of a build that nobody makes any more, and returns it as
// it is then. If its log was stored and its release was made, only the last word is
// missing, and it is said; else it has failed, and log stores its log, which says why,
// and gives the URL of that, "" for none.
func (j Job) settle(ctx context.Context, books Books, app, id string, log func() (string, error)) (rack.Build, error) {
	b, err := books.Build(ctx, app, id)
	if err != nil || b.Final() {
		return b, err
	}
	if b.Logs != "" {
		r, ok, err := books.ReleaseOf(ctx, app, id)
		if err != nil {
			return b, err
		}
		if ok {
			return books.UpdateBuild(ctx, app, id, rack.BuildChanges{Release: r.ID, Status: rack.BuildComplete})
		}
	}
	url, err := log()
	if err != nil {
		j.Log.Warn("the log of build " + id + " could not be stored: " + err.Error())
		url = ""
	}
	return books.UpdateBuild(ctx, app, id, rack.BuildChanges{Ended: time.Now(), Status: rack.BuildFailed, Logs: url})
}

func (j Job) endProcess(ctx context.Context, app, id string) error {
	if id == "" {
		return nil
	}
	_, err := j.Rack.Process(ctx, app, id)
	if err == nil {
		err = j.Rack.StopProcess(ctx, app, id)
	}
	switch {
	case errors.Is(err, rack.ErrNotFound):
		return nil
	case err != nil:
		return errors.New("process " + id + " may still run: " + err.Error())
	}
	j.Log.Warn("process " + id + " was still running when its step had ended; it was stopped")
	return nil
}
