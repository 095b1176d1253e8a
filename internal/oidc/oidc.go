// Package oidc gets the tokens by which a CI system says to others what job this
// is, as OpenID Connect has them.
package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Needs are what a [Source] is made of.
type Needs struct {
	// Variable reads a variable of the environment, "" for one that is not set.
	Variable func(name string) string
	// Audience is whom tokens are for; "" for whom the CI system makes them for, and
	// for [STS] where that has to be asked for.
	Audience string
	// Given is a token that was handed over, which counts before all others; "" for
	// none.
	Given string
	// HTTP is the way to the CI system.
	HTTP http.RoundTripper
}

// STS is the audience that AWS has for the tokens of jobs.
const STS = "sts.amazonaws.com"

// Source is where this job has tokens from.
type Source struct {
	held   string  // a token that was there when the job began; "" for none
	github *github // that gives one for the asking; nil where held is set
}

// Errors of a job that has no token say what would give it one.
var (
	errGitHub = errors.New("GitHub gives this job no token: it needs the permission id-token: write, and a job that a pull request from a fork has started cannot have it")
	errCircle = errors.New("CircleCI gives this job no token: it needs a context, and a job that a pull request from a fork has started gets none unless the project passes secrets to those")
	errNone   = errors.New("this job has no token: hand one over with the input web-identity-token (on GitLab: id_tokens with the name CONVOX_WEB_IDENTITY_TOKEN)")
)

// Find finds where this job has tokens from. It asks nobody.
func Find(n Needs) (*Source, error) {
	held := n.Given
	switch {
	case held != "":
	case n.Variable("GITHUB_ACTIONS") == "true":
		address, bearer := n.Variable("ACTIONS_ID_TOKEN_REQUEST_URL"), n.Variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
		if address == "" || bearer == "" {
			return nil, errGitHub
		}
		g, err := newGitHub(address, bearer, n)
		return &Source{github: g}, err
	case n.Variable("CIRCLECI") == "true":
		if held = n.Variable("CIRCLE_OIDC_TOKEN_V2"); held == "" {
			held = n.Variable("CIRCLE_OIDC_TOKEN")
		}
		if held == "" {
			return nil, errCircle
		}
	default:
		return nil, errNone
	}
	held = strings.TrimSpace(held)
	c, err := Parse(held)
	if err != nil {
		return nil, err
	}
	if n.Audience != "" && !slices.Contains(c.Audience, n.Audience) {
		return nil, fmt.Errorf("the token of this job is for %s, and not for the audience %q", c.For(), n.Audience)
	}
	return &Source{held: held}, nil
}

// Secret is what must not be shown of the source itself: a token, or what tokens
// are asked for with.
func (s *Source) Secret() string {
	if s.github != nil {
		return s.github.bearer
	}
	return s.held
}

// Token is a token of this job. Where the CI system gives one for the asking it is
// a new one each time, else the one that was there when the job began, which may
// have expired.
func (s *Source) Token(ctx context.Context) (string, error) {
	if s.github != nil {
		return s.github.token(ctx)
	}
	return s.held, nil
}
