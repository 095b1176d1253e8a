package rack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
)

const (
	openTimeout   = 30 * time.Second // for a handshake: 101 comes before the rack does any work
	maxMessage    = 16 << 20         // bytes of one message; racks send pieces of some KiB
	reopenDelay   = time.Second      // between a broken stream and the next
	refusedPrefix = "ERROR: "        // a rack reports a fault as text, after the 101
)

// errRefused: the rack answered a stream with an error and nothing else.
var errRefused = errors.New("log refused")

// tail copies the log of a build, each byte once, over as many streams as it
// takes. Racks send a build's log from its first byte on every stream.
type tail struct {
	client  *Client
	app, id string
	out     io.Writer
	seen    int64 // bytes of the log already written to out
}

// toEnd copies the log until the rack ends it or ctx does. A broken or refused
// stream is opened again: whether the build is over is not for the log to say.
func (t *tail) toEnd(ctx context.Context, final bool) error {
	for {
		err := t.once(ctx, final)
		var w *writeError
		if err == nil || ctx.Err() != nil || errors.As(err, &w) {
			return err
		}
		t.client.notice(fmt.Sprintf("log of %s: %v; opening it again", t.id, err))
		if err := sleep(ctx, reopenDelay); err != nil {
			return err
		}
	}
}

// follow copies the log until ctx ends, since a rack may end a log before the
// build is over. Each end that the rack sends is marked.
func (t *tail) follow(ctx context.Context, marks chan<- struct{}) error {
	for {
		if err := t.toEnd(ctx, false); err != nil {
			return err
		}
		select {
		case marks <- struct{}{}:
		default: // the last mark was not taken yet, and one is enough
		}
		if err := sleep(ctx, pollInterval); err != nil {
			return err
		}
	}
}

// once copies what one stream brings beyond the bytes already seen; nil means
// that the rack ended it. A stream that is nothing but an error is refused and
// not copied, unless final: then that error is all the log there is.
func (t *tail) once(ctx context.Context, final bool) error {
	conn, err := t.client.open(ctx, path("apps", t.app, "builds", t.id, "logs"))
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	var at int64    // place in the log of the next byte from this stream
	var held []byte // an error at the very start, until it is known whether more follows
	for first := true; ; first = false {
		kind, p, err := conn.Read(ctx)
		switch {
		case err != nil && len(held) == 0:
			return plain(ctx, err)
		case err != nil:
			return errors.Join(t.write(&at, held), plain(ctx, err))
		case kind == websocket.MessageBinary && len(held) > 0 && !final:
			return fmt.Errorf("%w: %s", errRefused, strings.TrimSpace(strings.TrimPrefix(string(held), refusedPrefix)))
		case kind == websocket.MessageBinary: // any binary message is the end of the log
			return t.write(&at, held)
		case first && bytes.HasPrefix(p, []byte(refusedPrefix)):
			held = p
			continue
		}
		if err := t.write(&at, append(held, p...)); err != nil {
			return err
		}
		held = nil
	}
}

// writeError is a fault of the place that the log is copied to; no other
// stream would mend it.
type writeError struct{ error }

// write copies the part of p that was not seen yet; at is where p begins and
// is moved to where it ends.
func (t *tail) write(at *int64, p []byte) error {
	begin := *at
	*at += int64(len(p))
	if skip := t.seen - begin; skip >= int64(len(p)) {
		return nil
	} else if skip > 0 {
		p = p[skip:]
	}
	n, err := t.out.Write(p)
	t.seen += int64(n)
	if err != nil {
		return &writeError{err}
	}
	return nil
}

// open makes a WebSocket.
func (c *Client) open(ctx context.Context, p string) (*websocket.Conn, error) {
	u := c.endpoint.base
	u.Path = p
	shake, done := context.WithTimeout(ctx, openTimeout)
	defer done()
	conn, res, err := websocket.Dial(shake, u.String(), &websocket.DialOptions{HTTPClient: c.http, HTTPHeader: c.header()})
	if err != nil {
		if res != nil && res.StatusCode >= http.StatusBadRequest {
			return nil, &Error{Method: http.MethodGet, Path: p, Status: res.StatusCode}
		}
		return nil, c.unanswered(ctx, call{method: http.MethodGet, path: p}, plain(ctx, err))
	}
	conn.SetReadLimit(maxMessage)
	return conn, nil
}

// plain reduces an error of the WebSocket library to its innermost cause: the
// outer ones print the URL.
func plain(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	if errors.Is(err, io.EOF) {
		return errors.New("the stream broke off")
	}
	return err
}
