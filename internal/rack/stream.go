package rack

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

const (
	openTimeout  = 30 * time.Second // for a handshake: 101 comes before the rack does any work
	pingInterval = 20 * time.Second // on an open stream: balancers cut one on which nothing crosses for a minute
	pingTimeout  = 5 * time.Second  // for a ping to be sent
)

// stream makes a WebSocket of a path, with options in its header.
func (c *Client) stream(ctx context.Context, p string, options http.Header) (*websocket.Conn, error) {
	conn, err := c.shake(ctx, p, options)
	begun, failed := c.answerChallenge(ctx, err)
	if failed != nil {
		return nil, failed
	}
	if begun {
		return c.shake(ctx, p, options)
	}
	return conn, err
}

func (c *Client) shake(ctx context.Context, p string, options http.Header) (*websocket.Conn, error) {
	u := c.endpoint.base
	u.Path = p
	within, done := context.WithTimeoutCause(ctx, openTimeout, errSilent)
	defer done()
	k := call{method: http.MethodGet, path: p}
	h := c.header()
	maps.Copy(h, options)
	conn, res, err := websocket.Dial(within, u.String(), &websocket.DialOptions{HTTPClient: c.http, HTTPHeader: h})
	if err != nil && res != nil && res.StatusCode != http.StatusSwitchingProtocols {
		return nil, refusal(k, res)
	}
	if err != nil {
		return nil, unanswered(ctx, within, k, err)
	}
	conn.SetReadLimit(-1) // messages are copied on as they come, none is held whole
	return conn, nil
}

// keepOpen sends pings until ctx ends. A rack does not answer them on a log, so
// they prove nothing; they are for what stands between us and it.
func keepOpen(ctx context.Context, conn *websocket.Conn) {
	t := time.NewTicker(pingInterval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			sent, done := context.WithTimeout(ctx, pingTimeout)
			conn.Ping(sent) // an error shows where the stream is read
			done()
		}
	}
}

// broken describes why a stream could not be read on: the innermost cause,
// since the outer ones are about the library's own steps.
func broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the stream broke off")
	}
	return err
}
