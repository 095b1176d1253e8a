package workflow

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// compare looks at the release that is active before another one takes its
// place. A newer one must not be replaced by an older one: two jobs that run at
// once may come to an end in the wrong order. A release that lacks variables of
// the active one is told, since an environment is inherited from the newest
// release, and not from the one that runs.
func (j Job) compare(ctx context.Context, before rack.App, p promotion) *NotLiveError {
	if before.Release == "" || before.Release == p.release {
		return nil
	}
	active, next, err := j.releases(ctx, p.app, before.Release, p.release)
	switch {
	case errors.Is(err, rack.ErrNotFound): // one is not there any more; the promote itself tells if it is ours
		return nil
	case err != nil:
		j.printf("The active release %s could not be compared with %s: %v", before.Release, p.release, err)
		return nil
	}
	if dropped := rack.CompareEnv(active.Variables(), next.Variables()).Removed; len(dropped) > 0 {
		j.Log.Warn(fmt.Sprintf("release %s lacks variables that the active release %s has: %s", next.ID, active.ID, strings.Join(dropped, ", ")))
	}
	if p.Force || !next.Created.Before(active.Created) {
		return nil
	}
	return &NotLiveError{Release: p.release, Outcome: rack.Outcome{Verdict: rack.Superseded, Active: active.ID,
		Reason: fmt.Sprintf("release %s, which was made later, is active; rollback goes back to an older one", active.ID)}}
}

// releases asks for two releases.
func (j Job) releases(ctx context.Context, app, first, second string) (a, b rack.Release, err error) {
	if a, err = j.Rack.Release(ctx, app, first); err == nil {
		b, err = j.Rack.Release(ctx, app, second)
	}
	return a, b, err
}
