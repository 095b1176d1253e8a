package rack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	pollInterval  = 2 * time.Second        // between looks at a build or an app
	settleDelay   = 250 * time.Millisecond // between the end of a log and the look at the record, which is written beside it
	logGrace      = 5 * time.Second        // for a log to end by itself once the build has ended
	tailTimeout   = 30 * time.Second       // for what is still missing of a stored log
	maxPollFaults = 30                     // polls in a row that may fail, each after the retries of its own: minutes, the length of a rack's own update
)

// Watch follows a build to its end and returns its last record. The log goes
// to out, each byte once and in order. The record alone decides: a log that is
// stuck, silent, cut or refused changes nothing. The error is about watching;
// a build that failed is no error here.
func (c *Client) Watch(ctx context.Context, app, id string, out io.Writer) (Build, error) {
	t := &tail{client: c, app: app, id: id, out: out}
	following, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	marks := make(chan struct{}, 1)
	broken := make(chan error, 1)
	go func() {
		err := t.follow(following, marks)
		var w *writeError
		if errors.As(err, &w) { // the only fault of a log that matters: ours
			stop(err)
		}
		broken <- err
	}()
	b, marked, err := c.awaitBuild(following, app, id, marks)
	if err == nil && !marked {
		grace, done := context.WithTimeout(following, logGrace)
		select {
		case <-marks:
			marked = true
		case <-grace.Done():
		}
		done()
	}
	stop(nil)
	<-broken
	if err != nil {
		return b, err
	}
	return b, c.finish(ctx, t, marked)
}

// finish brings what is missing of the stored log. If that cannot be had the
// fault is told, unless a stream had ended as it should, and is not an error.
func (c *Client) finish(ctx context.Context, t *tail, marked bool) error {
	ctx, done := context.WithTimeout(ctx, tailTimeout)
	defer done()
	err := t.once(ctx, !marked)
	var w *writeError
	if errors.As(err, &w) {
		return err
	}
	if err != nil && !marked {
		c.notice(fmt.Sprintf("log of %s: the rest is missing: %v", t.id, err))
	}
	return nil
}

// awaitBuild polls until the build has ended, from the start and whatever the
// log does; a mark at the end of a log only brings the next look forward. It
// tells whether such a mark came last.
func (c *Client) awaitBuild(ctx context.Context, app, id string, marks <-chan struct{}) (b Build, marked bool, err error) {
	unknown := Build{ID: id, App: app}
	faults := 0
	for {
		b, err := c.Build(ctx, app, id)
		switch {
		case err == nil && b.Final():
			return b, marked, nil
		case err == nil:
			faults = 0
		case ctx.Err() != nil:
			return unknown, false, context.Cause(ctx)
		default:
			if faults++; faults == maxPollFaults || !errors.Is(err, ErrUnavailable) {
				return unknown, false, err
			}
		}
		marked, err = c.pause(ctx, marks)
		if err != nil {
			return unknown, false, err
		}
	}
}

// pause waits for the next look at a build.
func (c *Client) pause(ctx context.Context, marks <-chan struct{}) (marked bool, err error) {
	t := time.NewTimer(pollInterval)
	defer t.Stop()
	select {
	case <-marks:
		return true, sleep(ctx, settleDelay)
	case <-t.C:
		return false, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// Log writes the log of a build to out until the rack ends it, opening the
// stream again where it breaks. [ErrNotFound] if the app has no such build.
func (c *Client) Log(ctx context.Context, app, id string, out io.Writer) error {
	b, err := c.Build(ctx, app, id)
	if err != nil {
		return err
	}
	return (&tail{client: c, app: app, id: id, out: out}).toEnd(ctx, b.Final())
}
