package ecr

import (
	"bytes"
	"io"
	"net/http"
	"regexp"
)

// maxDenial is how much of a refusal is looked at, in bytes; ECR's are a few
// hundred.
const maxDenial = 16 << 10

// expired are the words in which ECR says that a token is too old: with the status
// of a refusal, which for others would mean that a new one is of no use.
var expired = regexp.MustCompile(`(?i)authorization token has expired`)

// Transport is a way to registries that goes on with a new token where one of this
// service is not taken any more: a push may take longer than it lasts. Each request
// is sent again once at most.
func (s *Service) Transport(next http.RoundTripper) http.RoundTripper { return &renewing{s, next} }

type renewing struct {
	service *Service
	next    http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (t *renewing) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	_, password, ok := r.BasicAuth()
	verdict := judge(res)
	if !ok || verdict == good {
		return res, nil
	}
	fresh, ours, err := t.service.renew(r.Context(), password, verdict == stale)
	if !ours {
		return res, nil
	}
	again := r.Clone(r.Context())
	if err == nil && r.Body != nil && r.Body != http.NoBody {
		if r.GetBody == nil {
			return res, nil // it cannot be sent again; the next request has the new token
		}
		again.Body, err = r.GetBody()
	}
	res.Body.Close()
	if err != nil {
		return nil, err
	}
	again.SetBasicAuth(fresh.user, fresh.password)
	return t.next.RoundTrip(again)
}

// What an answer says about the token of its request.
const (
	good  = iota
	maybe // it is refused without words: the answer to HEAD has none
	stale
)

func judge(res *http.Response) int {
	switch {
	case res.StatusCode == http.StatusUnauthorized:
		return stale
	case res.StatusCode != http.StatusForbidden:
		return good
	case res.Request != nil && res.Request.Method == http.MethodHead:
		return maybe
	}
	head, err := io.ReadAll(io.LimitReader(res.Body, maxDenial))
	rest := res.Body
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), rest), rest}
	if err == nil && expired.Match(head) {
		return stale
	}
	return good
}
