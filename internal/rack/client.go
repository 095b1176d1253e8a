package rack

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

const (
	maxErrorBody  = 8 << 10  // bytes kept of an error answer; a proxy may answer with a whole page
	maxAnswerBody = 64 << 20 // bytes of a JSON answer; a list of releases carries a manifest each
)

// Client talks to one rack. Its methods may be called from several goroutines.
type Client struct {
	endpoint Endpoint
	http     *http.Client
	notice   func(string)
}

// New makes a client for an endpoint over a transport (see [Transport]; tests
// hand in one that fails on purpose). notice is told of each retry and each
// reopened stream in a line for a person; nil means nobody is.
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
	open         func() (io.ReadCloser, error) // sent as bytes; may be opened once for each try
	repeatable   bool                          // doing it twice is the same as doing it once
}

// do makes a call and decodes the JSON answer into out, unless out is nil.
// Repeatable calls are tried again as retry.go says.
func (c *Client) do(ctx context.Context, k call, out any) error {
	return c.retry(ctx, k, func() error {
		body, err := k.body()
		if err != nil {
			return err
		}
		req, err := c.request(ctx, k, body)
		if err != nil {
			return err
		}
		res, err := c.http.Do(req)
		if err != nil {
			return c.unanswered(ctx, k, err)
		}
		defer res.Body.Close()
		return decode(res, k, out)
	})
}

func (k call) body() (io.ReadCloser, error) {
	switch {
	case k.open != nil:
		return k.open()
	case len(k.form) > 0:
		return io.NopCloser(strings.NewReader(k.form.Encode())), nil
	}
	return nil, nil
}

func (c *Client) request(ctx context.Context, k call, body io.ReadCloser) (*http.Request, error) {
	u := c.endpoint.base
	u.Path = k.path
	u.RawQuery = k.query.Encode()
	req, err := http.NewRequestWithContext(ctx, k.method, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", k.method, k.path, err)
	}
	if body != nil {
		req.Body = body
		req.ContentLength = -1 // chunked, so that a pack can be streamed
	}
	if len(k.form) > 0 {
		req.ContentLength = int64(len(k.form.Encode()))
	}
	req.Header = c.header()
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
	probe.SetBasicAuth(c.endpoint.user, c.endpoint.password)
	if c.endpoint.rack != "" {
		h.Set("Rack", c.endpoint.rack)
	}
	return h
}

// decode reads an answer: an [*Error] for a status of 400 or more, else JSON.
func decode(res *http.Response, k call, out any) error {
	if res.StatusCode >= http.StatusMultipleChoices {
		text, _ := io.ReadAll(io.LimitReader(res.Body, maxErrorBody))
		return &Error{Method: k.method, Path: k.path, Status: res.StatusCode, Message: message(text)}
	}
	if out == nil {
		_, err := io.Copy(io.Discard, io.LimitReader(res.Body, maxErrorBody)) // so that the connection can be reused
		return err
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswerBody))
	if err != nil {
		return &Error{Method: k.method, Path: k.path, Err: err}
	}
	// A connection that broke inside the rack shows as 200 with nothing in it.
	if len(data) == 0 {
		return &Error{Method: k.method, Path: k.path, Err: io.ErrUnexpectedEOF}
	}
	if err := json.Unmarshal(data, out); err != nil {
		return &Error{Method: k.method, Path: k.path, Status: http.StatusBadGateway,
			Message: fmt.Sprintf("%s %s: the answer is not the JSON of a rack", k.method, k.path)}
	}
	return nil
}

// message finds the rack's words in the body of an error: JSON with an error,
// or the text. Of a page of a proxy nothing is kept.
func message(body []byte) string {
	var j struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &j) == nil && j.Error != "" {
		return j.Error
	}
	text := strings.TrimSpace(string(body))
	if strings.HasPrefix(text, "<") {
		return ""
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// unanswered describes a request that got no answer. A [*url.Error] prints its
// URL, so only what is inside it is kept.
func (c *Client) unanswered(ctx context.Context, k call, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if inner, ok := err.(*url.Error); ok {
		err = inner.Err
	}
	return &Error{Method: k.method, Path: k.path, Err: err}
}
