package rack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

const (
	maxErrorBody  = 8 << 10     // bytes kept of an error answer; a proxy may answer with a whole page
	maxAnswerBody = 64 << 20    // bytes of a JSON answer; a list of releases carries a manifest each
	getTimeout    = time.Minute // for a whole answer to a GET, which a rack gives in a second: a dead connection must not stop the polls
)

// Client talks to one rack. Its methods may be called from several goroutines.
type Client struct {
	endpoint Endpoint
	http     *http.Client
	notice   func(string)
	session  atomic.Pointer[string] // given by a console that asked for one; nil until then
	reached  atomic.Bool            // something has answered at the endpoint
}

// New makes a client for an endpoint over a transport (see [Transport]; tests
// hand in one that fails on purpose). notice is told of each retry and each
// reopened stream in a line for a person, from several goroutines at once; nil
// means nobody is.
func New(e Endpoint, t http.RoundTripper, notice func(string)) *Client {
	if notice == nil {
		notice = func(string) {}
	}
	// A redirect would carry the key to another host, and no rack sends one.
	return &Client{endpoint: e, notice: notice, http: &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Endpoint is the endpoint that the client was made for.
func (c *Client) Endpoint() Endpoint { return c.endpoint }

// call is one request of the API.
type call struct {
	method, path string
	query        url.Values
	form         url.Values                    // sent as a form; nil or empty: no body, as the official clients have it
	header       http.Header                   // options that travel in headers
	open         func() (io.ReadCloser, error) // sent as bytes; opened once for each try
	repeatable   bool                          // doing it twice is the same as doing it once
}

// do makes a call and decodes the JSON answer into out, unless out is nil.
// Repeatable calls are tried again as retry.go says.
func (c *Client) do(ctx context.Context, k call, out any) error {
	return c.retry(ctx, k, func() error {
		err := c.try(ctx, k, out)
		begun, failed := c.answerChallenge(ctx, err)
		if failed != nil {
			return failed
		}
		if begun {
			return c.try(ctx, k, out)
		}
		return err
	})
}

// try makes a call once.
func (c *Client) try(ctx context.Context, k call, out any) error {
	within, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if k.method == http.MethodGet {
		defer time.AfterFunc(getTimeout, func() { stop(errSilent) }).Stop()
	}
	req, err := c.request(within, k)
	if err != nil {
		return err
	}
	var sent upload
	if k.open != nil {
		if sent.from, err = k.open(); err != nil {
			return err
		}
		defer sent.watch(stop)()
		req.Body, req.ContentLength = &sent, -1 // chunked, so that a pack can be streamed
	}
	res, err := c.http.Do(req)
	if err != nil {
		if err := sent.fault(); err != nil {
			return err
		}
		return unanswered(ctx, within, k, err)
	}
	defer res.Body.Close()
	c.reached.Store(true)
	if res.StatusCode >= http.StatusMultipleChoices {
		return refusal(k, res)
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswerBody))
	if out == nil {
		return confirm(k, data)
	}
	if err != nil {
		return unanswered(ctx, within, k, err)
	}
	return decode(k, data, out)
}

func (c *Client) request(ctx context.Context, k call) (*http.Request, error) {
	u := c.endpoint.base
	u.Path = k.path
	u.RawQuery = k.query.Encode()
	var body io.Reader
	if len(k.form) > 0 {
		body = strings.NewReader(k.form.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, k.method, u.String(), body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: not a request that can be sent", k.method, k.path) // err holds the URL
	}
	req.Header = c.header()
	maps.Copy(req.Header, k.header)
	// A rack reads a form only under this type, and stores an object of 0 bytes under it.
	req.Header.Set("Content-Type", "application/octet-stream")
	if len(k.form) > 0 {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return req, nil
}

// header is what every request carries, WebSocket handshakes included. The
// password is sent as it is: the official clients send it percent-encoded,
// which racks reject as soon as that differs.
func (c *Client) header() http.Header {
	h := http.Header{}
	h.Set("User-Agent", "convox-ci")
	probe := &http.Request{Header: h}
	probe.SetBasicAuth(c.endpoint.user, c.endpoint.Password())
	if c.endpoint.rack != "" {
		h.Set("Rack", c.endpoint.rack)
	}
	if s := c.session.Load(); s != nil {
		h.Set("Session", *s)
	}
	return h
}

// unanswered describes a request that got no whole answer within its own time
// or that of ctx. A [*url.Error] prints its URL, so only what is inside it is
// kept.
func unanswered(ctx, within context.Context, k call, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if within.Err() != nil { // not to be taken for a deadline of the caller's
		return &Error{Method: k.method, Path: k.path, Err: context.Cause(within)}
	}
	var outer *url.Error
	for errors.As(err, &outer) {
		err = outer.Err
	}
	return &Error{Method: k.method, Path: k.path, Err: err}
}
