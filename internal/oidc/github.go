package oidc

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	tries       = 4                      // of a request for a token: without it all that was done so far is lost
	pauseBefore = 500 * time.Millisecond // the second try; double before each further one
	askLimit    = 10 * time.Second       // for one answer; it comes within one
	maxAnswer   = 64 << 10               // bytes of an answer that are read; a token has some KB
)

// github gives a token to each job that has the permission for it.
//
// https://docs.github.com/en/actions/reference/security/oidc#methods-for-requesting-the-oidc-token
type github struct {
	address  string // with the audience in it
	audience string
	bearer   string
	http     http.RoundTripper
}

// newGitHub refuses an address that the bearer must not be sent to in the clear.
func newGitHub(address, bearer string, n Needs) (*github, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.User != nil:
		return nil, errors.New("ACTIONS_ID_TOKEN_REQUEST_URL is not the URL of a service")
	case u.Scheme != "https" && !isLoopback(u.Hostname()):
		return nil, errors.New("ACTIONS_ID_TOKEN_REQUEST_URL is not https")
	}
	g := &github{audience: cmp.Or(n.Audience, STS), bearer: bearer, http: n.HTTP}
	q := u.Query()
	q.Set("audience", g.audience)
	u.RawQuery = q.Encode()
	g.address = u.String()
	return g, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// refusalError is an answer without a token.
type refusalError struct {
	status   int
	audience string
}

func (e *refusalError) Error() string {
	return fmt.Sprintf("GitHub gives this job no token for the audience %q: it answered with status %d", e.audience, e.status)
}

// token asks for a token, a few times if need be.
func (g *github) token(ctx context.Context) (token string, err error) {
	for try := range tries {
		if try > 0 {
			pause(ctx, pauseBefore<<(try-1))
		}
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		token, err = g.ask(ctx)
		var refused *refusalError
		if err == nil || errors.As(err, &refused) && refused.status != http.StatusTooManyRequests && refused.status < http.StatusInternalServerError {
			return token, err
		}
	}
	return "", err
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// ask sends one request. Its errors have nothing of what was sent in them.
func (g *github) ask(ctx context.Context) (string, error) {
	ctx, done := context.WithTimeout(ctx, askLimit)
	defer done()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, g.address, nil)
	if err != nil {
		return "", errors.New("ACTIONS_ID_TOKEN_REQUEST_URL is not the URL of a service")
	}
	r.Header.Set("Authorization", "Bearer "+g.bearer)
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "convox-ci")
	res, err := g.http.RoundTrip(r) // as it is: a redirect would take the bearer elsewhere
	if err != nil {
		return "", fmt.Errorf("GitHub was not reached for a token: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return "", &refusalError{res.StatusCode, g.audience}
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return "", fmt.Errorf("GitHub's answer with a token was cut short: %w", err)
	}
	var answer struct {
		Value string `json:"value"`
	}
	if json.Unmarshal(text, &answer) != nil {
		return "", errors.New("GitHub's answer with a token is no JSON")
	}
	_, err = Parse(answer.Value)
	return answer.Value, err
}
