package rack

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

// LogOptions say which lines of an app's log are wanted.
type LogOptions struct {
	Follow bool          // go on with what is logged from now on
	Since  time.Duration // how far back to begin
	Prefix bool          // TIME SOURCE before each line
	Filter string        // in the words of the rack; "" for all
}

func (o LogOptions) header() http.Header {
	h := http.Header{"Follow": {strconv.FormatBool(o.Follow)}, "Since": {o.Since.String()}}
	if o.Prefix {
		h.Set("Prefix", strconv.FormatBool(o.Prefix))
	}
	if o.Filter != "" {
		h.Set("Filter", o.Filter)
	}
	return h
}

// AppLog copies the log of an app to out until the rack ends it or, where it is
// followed, until ctx does. A stream that breaks while it is followed is opened
// again from where it broke, to the second: the log of an app has no beginning to
// count bytes from, so that a line may come twice there.
func (c *Client) AppLog(ctx context.Context, app string, o LogOptions, out io.Writer) error {
	copied := &activity{out: out}
	for delay := reopenDelay; ; delay = min(2*delay, maxReopenDelay) {
		before, opened := copied.heard(), time.Now()
		err := c.appLogOnce(ctx, app, o, copied)
		var e *Error
		switch {
		case err == nil:
			return nil
		case ours(err) != nil:
			return ours(err)
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !o.Follow, errors.As(err, &e) && !again(e, true):
			return err
		}
		if copied.heard().After(before) {
			delay = reopenDelay
		}
		c.notice("log of " + app + ": " + err.Error() + "; opening it again")
		if err := sleep(ctx, delay); err != nil {
			return err
		}
		if heard := copied.heard(); !heard.IsZero() {
			o.Since = time.Since(heard)
		} else {
			o.Since += time.Since(opened)
		}
		o.Since = o.Since.Truncate(time.Second) + time.Second
	}
}

// appLogOnce copies what one stream brings. A fault that the rack reports in
// its place is an [*Error].
func (c *Client) appLogOnce(ctx context.Context, app string, o LogOptions, out io.Writer) error {
	p := path("apps", app, "logs")
	conn, err := c.stream(ctx, p, o.header())
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer conn.CloseNow()
	defer stop()
	go keepOpen(ctx, conn)
	last := &head{}
	if err := receive(ctx, conn, func() { last.kept = last.kept[:0] }, io.MultiWriter(last, marked{out})); err != nil {
		return err
	}
	if fault := last.fault(); fault != "" {
		return &Error{Method: http.MethodGet, Path: p, Status: http.StatusInternalServerError, Message: fault}
	}
	return nil
}

// marked marks the faults of a writer as ours.
type marked struct{ io.Writer }

func (m marked) Write(p []byte) (int, error) {
	n, err := m.Writer.Write(p)
	if err != nil {
		return n, &writeError{err}
	}
	return n, nil
}
