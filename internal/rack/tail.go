package rack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	reopenDelay    = time.Second      // before a stream is opened again; doubled while that brings nothing new
	maxReopenDelay = 15 * time.Second // so that a log that comes back is not waited for long
	stallTimeout   = 15 * time.Second // without a byte of a stored log, which the rack only has to fetch
	copySize       = 32 << 10         // bytes copied at once
)

// errStalled ends the reading of a stored log that does not come.
var errStalled = errors.New("nothing comes")

// writeError is a fault of the place that the log is copied to; no other
// stream would mend it.
type writeError struct{ error }

// ours is the fault of the place that a log was copied to, nil if err is none.
func ours(err error) error {
	var w *writeError
	if errors.As(err, &w) {
		return w.error
	}
	return nil
}

// tail copies the log of a build, each byte once, over as many streams as it
// takes. Racks send a build's log from its first byte on every stream.
type tail struct {
	client  *Client
	app, id string
	out     io.Writer
	seen    int64  // bytes of the log already written to out
	spare   []byte // what a stream ended with that is either log from seen on or a fault; see passage
}

// follow copies the log until ctx ends or out fails, since a rack may end a log
// before the build is over, and a broken or refused one does not tell whether it
// is. Each end that the rack sends is marked, a refusal included: the log of a
// build that failed at once looks like one.
func (t *tail) follow(ctx context.Context, marks chan<- struct{}) error {
	refused := false
	for delay := reopenDelay; ; delay = min(2*delay, maxReopenDelay) {
		before := t.seen
		err := t.once(ctx, false)
		switch {
		case ctx.Err() != nil || ours(err) != nil:
			return err
		case errors.Is(err, errRefused) && !refused: // the record may have ended, and then this was the log
		case err != nil:
			t.reopening(err)
		}
		refused = errors.Is(err, errRefused)
		if err == nil || refused {
			select {
			case marks <- struct{}{}:
			default: // the last mark was not taken yet, and one is enough
			}
		}
		if t.seen > before {
			delay = reopenDelay
		}
		if err := sleep(ctx, delay); err != nil {
			return err
		}
	}
}

// stored copies the rest of the log of an ended build. It gives up when several
// streams in a row, or a silent one, bring nothing new.
func (t *tail) stored(ctx context.Context) error {
	delay := reopenDelay
	for n := 1; ; n++ {
		before := t.seen
		err := t.once(ctx, true)
		if err == nil || ctx.Err() != nil || ours(err) != nil {
			return err
		}
		if t.seen > before {
			n, delay = 0, reopenDelay
		} else if n == maxTries || errors.Is(err, errStalled) {
			return err
		}
		t.reopening(err)
		if err := sleep(ctx, delay); err != nil {
			return err
		}
		delay = min(2*delay, maxReopenDelay)
	}
}

func (t *tail) reopening(err error) {
	t.client.notice(fmt.Sprintf("log of %s: %v; opening it again", t.id, err))
}

// once copies what one stream brings beyond the bytes already seen; nil means
// that the rack ended it. A stored log may be given up as stalled.
func (t *tail) once(ctx context.Context, stored bool) error {
	conn, err := t.client.stream(ctx, path("apps", t.app, "builds", t.id, "logs"), nil)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer conn.CloseNow()
	defer stop(nil)
	go keepOpen(ctx, conn)
	p := &passage{tail: t, stored: stored}
	if stored {
		p.stall = time.AfterFunc(stallTimeout, func() { stop(errStalled) })
		defer p.stall.Stop()
	}
	if err := receive(ctx, conn, func() { p.begun = true }, p); err != nil {
		return err
	}
	return p.end()
}

// finish brings what is missing of the log of an ended build. That it cannot be
// had is told and is no error: the record has already said how the build ended.
func (t *tail) finish(ctx context.Context) error {
	err := t.stored(ctx)
	if err == nil || ours(err) != nil {
		return ours(err)
	}
	t.client.notice(fmt.Sprintf("log of %s: %v; the end of it may be missing", t.id, err))
	if len(t.spare) > 0 {
		_, err = t.out.Write(t.spare)
		return err
	}
	return nil
}
