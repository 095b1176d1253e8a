package rack

import (
	"context"
	"io"
	"time"
)

const (
	pollInterval = 2 * time.Second        // between looks at a build or an app
	settleDelay  = 250 * time.Millisecond // until the second look at the record after the end of a log, beside which it is written
	logGrace     = 5 * time.Second        // for a log to end by itself once the build has ended
)

// Watch follows a build to its end and returns its last record. The log goes
// to out, each byte once and in order, from a goroutine that has ended when
// Watch returns. The record alone decides: a log that is stuck, silent, cut or
// refused changes nothing. The error is about watching, an error of out among
// it; a build that failed is no error here.
func (c *Client) Watch(ctx context.Context, app, id string, out io.Writer) (Build, error) {
	t := &tail{client: c, app: app, id: id, out: out}
	following, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	marks := make(chan struct{}, 1)
	ended := make(chan error, 1)
	go func() {
		err := t.follow(following, marks)
		stop(err) // a fault of out ends the polls too
		ended <- err
	}()
	b, marked, err := c.awaitBuild(following, app, id, marks)
	if err == nil && !marked {
		grace, done := context.WithTimeout(following, logGrace)
		select {
		case <-marks:
		case <-grace.Done():
		}
		done()
	}
	stop(nil)
	if fault := ours(<-ended); fault != nil {
		return b, fault
	}
	if err != nil {
		return b, err
	}
	return b, t.finish(ctx)
}

// awaitBuild polls until the build has ended, from the start and whatever the
// log does; a mark at the end of a log only brings the next two looks forward.
// It tells whether such a mark came last.
func (c *Client) awaitBuild(ctx context.Context, app, id string, marks <-chan struct{}) (Build, bool, error) {
	unknown := Build{ID: id, App: app}
	marked, settled := false, true
	polls := newPolls()
	for {
		b, err := c.Build(ctx, app, id)
		switch {
		case ctx.Err() != nil:
			return unknown, false, context.Cause(ctx)
		case err == nil && b.Final():
			return b, marked, nil
		case polls.hopeless(err):
			return unknown, false, err
		}
		if marked && !settled {
			settled, err = true, sleep(ctx, settleDelay)
		} else {
			marked, err = pause(ctx, marks)
			settled = !marked
		}
		if err != nil {
			return unknown, false, err
		}
	}
}

// AwaitBuild waits until a build has ended and returns its last record.
func (c *Client) AwaitBuild(ctx context.Context, app, id string) (Build, error) {
	b, _, err := c.awaitBuild(ctx, app, id, nil)
	return b, err
}

// pause waits for the next look at a build.
func pause(ctx context.Context, marks <-chan struct{}) (marked bool, err error) {
	t := time.NewTimer(pollInterval)
	defer t.Stop()
	select {
	case <-marks:
		return true, nil
	case <-t.C:
		return false, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// Log writes the log of a build to out, and returns when the build has ended
// and all of it was written. [ErrNotFound] if the app has no such build.
func (c *Client) Log(ctx context.Context, app, id string, out io.Writer) error {
	b, err := c.Build(ctx, app, id)
	if err != nil {
		return err
	}
	if !b.Final() {
		_, err = c.Watch(ctx, app, id, out)
		return err
	}
	err = (&tail{client: c, app: app, id: id, out: out}).stored(ctx)
	if fault := ours(err); fault != nil {
		return fault
	}
	return err
}
