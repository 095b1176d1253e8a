package actionscache

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// attempts is how often something is asked for, in all: what a cache spares is
	// soon lost by waiting for it.
	attempts = 3
	// pause is before the second attempt; the third waits twice as long.
	pause = time.Second
	// maxPause is the longest that the service may ask to be waited.
	maxPause = time.Minute
	// callTimeout bounds a call, whose answer is a line.
	callTimeout = 30 * time.Second
	// maxAnswer is how much is read of an answer, in bytes: one is an address.
	maxAnswer = 64 << 10
	// maxText is how much of an error's text is shown, in bytes.
	maxText = 200
)

// path is where the service has its calls, by the rules of Twirp.
// https://twitchtv.github.io/twirp/docs/spec_v7.html
const path = "/twirp/github.actions.results.api.v1.CacheService/"

// Refusal is an answer of the service, or of the store behind it, that is a no.
type Refusal struct {
	Call   string // what was asked
	Status int    // of HTTP; 0 where the answer was a no all the same
	Code   string // the kind of the error; "" if it has none
	Text   string // what it says
}

// Error implements error.
func (r *Refusal) Error() string {
	said := r.Call + " was refused"
	if r.Status != 0 {
		said += fmt.Sprintf(" with %d %s", r.Status, http.StatusText(r.Status))
	}
	for _, more := range []string{r.Code, r.Text} {
		if more != "" {
			said += ": " + more
		}
	}
	return said
}

// call asks the service.
func (s *Service) call(ctx context.Context, name string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	return s.try(ctx, try{
		name: name, timeout: callTimeout,
		request: func(ctx context.Context) (*http.Request, error) {
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+path+name, bytes.NewReader(body))
			if err == nil {
				r.Header.Set("Authorization", "Bearer "+s.token)
				r.Header.Set("Content-Type", "application/json")
			}
			return r, err
		},
		read: func(r io.Reader) error {
			if err := json.NewDecoder(io.LimitReader(r, maxAnswer)).Decode(answer); err != nil {
				return fmt.Errorf("%s: the answer is not that of the cache service: %w", name, err)
			}
			return nil
		},
	})
}

// try is something to be asked for until it is had.
type try struct {
	name    string        // of the call
	timeout time.Duration // of one attempt
	request func(context.Context) (*http.Request, error)
	read    func(io.Reader) error // takes the body of the answer
}

// try asks until there is an answer that is no passing trouble. A pause that would
// not end before the deadline is not begun: the trouble is what is told then.
func (s *Service) try(ctx context.Context, t try) error {
	for n := 1; ; n++ {
		wait, err := s.once(ctx, t)
		if err == nil || wait == 0 || n == attempts {
			return err
		}
		wait = max(wait, time.Duration(n)*pause)
		if end, ok := ctx.Deadline(); ok && time.Until(end) <= wait {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

// once asks once. wait is how long to wait before the next attempt at least, 0 for no
// other. What does not answer is not asked again.
func (s *Service) once(ctx context.Context, t try) (wait time.Duration, err error) {
	within, done := context.WithTimeoutCause(ctx, t.timeout, fmt.Errorf("%s: no answer within %s", t.name, t.timeout))
	defer done()
	request, err := t.request(within)
	if err != nil {
		return 0, fmt.Errorf("%s: the service gave an address that is none", t.name)
	}
	response, err := s.http.Do(request)
	if err == nil {
		defer response.Body.Close()
		if response.StatusCode < 200 || response.StatusCode > 299 {
			return refused(t.name, response)
		}
		err = t.read(response.Body)
	}
	if err != nil && within.Err() != nil {
		return 0, context.Cause(within)
	}
	if fault, ok := errors.AsType[*url.Error](err); ok {
		return pause, fmt.Errorf("%s: %w", t.name, fault.Err) // without the address, which may have a signature
	}
	return 0, err
}

// refused reads an answer that is a no.
func refused(name string, r *http.Response) (wait time.Duration, _ error) {
	text, _ := io.ReadAll(io.LimitReader(r.Body, maxAnswer)) // of what is missing nothing can be told
	refusal := &Refusal{Call: name, Status: r.StatusCode, Code: r.Header.Get("X-Ms-Error-Code")}
	var twirp struct{ Code, Msg string }
	if json.Unmarshal(text, &twirp) == nil {
		refusal.Code = twirp.Code
		refusal.Text = strings.ToValidUTF8(twirp.Msg[:min(len(twirp.Msg), maxText)], "")
	}
	switch r.StatusCode {
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		wait = pause
		if seconds, err := strconv.Atoi(r.Header.Get("Retry-After")); err == nil && seconds > 0 {
			wait = time.Duration(min(seconds, int(maxPause/time.Second))) * time.Second
		}
	}
	return wait, refusal
}
