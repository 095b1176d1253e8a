package rack

import (
	"context"
	"fmt"
	"time"
)

// restInterval is between looks at an app that others change, which takes
// minutes.
const restInterval = 5 * time.Second

// BusyError says that an app is not at rest and does not come to rest by
// itself, or did not while it was waited for.
type BusyError struct {
	App, Status string
	Err         error // why the waiting was ended; nil if there was nothing to wait for
}

func (e *BusyError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("app %s is still %s: %v", e.App, e.Status, e.Err)
	}
	return fmt.Sprintf("app %s is %s, and nothing can be promoted until that is mended", e.App, e.Status)
}

// Unwrap gives the reason.
func (e *BusyError) Unwrap() error { return e.Err }

// AwaitRest waits until an app is at rest and returns it. busy is told of each
// status that is waited for, once.
func (c *Client) AwaitRest(ctx context.Context, app string, busy func(App)) (App, error) {
	polls := newPolls()
	status := ""
	for {
		a, err := c.App(ctx, app)
		switch {
		case ctx.Err() != nil:
		case polls.hopeless(err):
			return a, err
		case err != nil:
		case a.Status == AppRunning:
			return a, nil
		case a.Status == AppFailed:
			return a, &BusyError{App: app, Status: a.Status}
		case a.Status != status:
			status = a.Status
			busy(a)
		}
		if err := sleep(ctx, restInterval); err != nil && status != "" {
			return a, &BusyError{App: app, Status: status, Err: err}
		} else if err != nil {
			return a, err
		}
	}
}
