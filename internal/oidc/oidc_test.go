package oidc_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/oidc"
	"github.com/convox-ci/convox-ci/internal/oidc/oidctest"
)

const bearer = "orchid-pale-moon"

// direct is the way to a handler in this process.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Result(), nil
}

// roundTrip is a way to nowhere.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func issuer(t *testing.T) *oidctest.Issuer {
	t.Helper()
	i, err := oidctest.NewIssuer(oidctest.GitHubURL)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func sign(t *testing.T, claims map[string]any) string {
	t.Helper()
	token, err := issuer(t).Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// in is an environment.
func in(variables map[string]string) func(string) string {
	return func(name string) string { return variables[name] }
}

func onGitHub() map[string]string {
	return map[string]string{"GITHUB_ACTIONS": "true", "ACTIONS_ID_TOKEN_REQUEST_URL": "https://tokens.example" + oidctest.GitHubPath, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": bearer}
}

// TestGitHub asks for a token each time, for the audience that is wanted.
func TestGitHub(t *testing.T) {
	g := &oidctest.GitHub{Issuer: issuer(t), Bearer: bearer, Subject: "repo:acme/shop:ref:refs/heads/main", Now: time.Now}
	for _, audience := range []string{"", "us & them"} {
		s, err := oidc.Find(oidc.Needs{Variable: in(onGitHub()), Audience: audience, HTTP: direct{g}})
		if err != nil {
			t.Fatal(err)
		}
		if s.Secret() != bearer {
			t.Errorf("the secret is %q", s.Secret())
		}
		var got []string
		for range 2 {
			token, err := s.Token(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, token)
			c, err := oidc.Parse(token)
			want := oidc.Claims{Issuer: oidctest.GitHubURL, Subject: g.Subject, Audience: []string{map[string]string{"": "sts.amazonaws.com"}[audience] + audience}}
			if d := cmp.Diff(want, c); d != "" || err != nil {
				t.Errorf("%v %s", err, d)
			}
		}
		if got[0] == got[1] || !slices.Equal(got, g.Given()[len(g.Given())-2:]) {
			t.Errorf("tokens: %q", got)
		}
	}
}

// TestGitHubAgain has faults that pass in the way, and some that do not.
func TestGitHubAgain(t *testing.T) {
	tests := []struct {
		name string
		fail []int
		want string        // of the error; "" for a token
		took time.Duration // by the clock of the test
	}{
		{"busy", []int{500, 429, 503}, "", 3500 * time.Millisecond},
		{"down", []int{502, 502, 502, 502}, `GitHub gives this job no token for the audience "sts.amazonaws.com": it answered with status 502`, 3500 * time.Millisecond},
		{"refused", []int{403}, `GitHub gives this job no token for the audience "sts.amazonaws.com": it answered with status 403`, 0},
		{"sent elsewhere", []int{302}, `GitHub gives this job no token for the audience "sts.amazonaws.com": it answered with status 302`, 0},
	}
	signer := issuer(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := &oidctest.GitHub{Issuer: signer, Bearer: bearer, Subject: "s", Now: time.Now}
				g.Fail(test.fail...)
				s, err := oidc.Find(oidc.Needs{Variable: in(onGitHub()), HTTP: direct{g}})
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				_, err = s.Token(t.Context())
				if said(err) != test.want {
					t.Errorf("%v", err)
				}
				if took := time.Since(began); took != test.took {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

func said(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestGitHubIsSilent waits for no answer longer than it should, nor after the end.
func TestGitHubIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		s, err := oidc.Find(oidc.Needs{Variable: in(onGitHub()), HTTP: silent})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, err = s.Token(t.Context())
		if took := time.Since(began); said(err) != "GitHub was not reached for a token: context deadline exceeded" || took != 43500*time.Millisecond {
			t.Errorf("%v after %v", err, took)
		}
		ended := errors.New("the job was cancelled")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(ended) })
		began = time.Now()
		_, err = s.Token(ctx)
		if took := time.Since(began); !errors.Is(err, ended) || took != time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// TestGitHubAnswers has answers that are none.
func TestGitHubAnswers(t *testing.T) {
	const canary = "orchid.pale.moon"
	for body, want := range map[string]string{
		"<html>":                      "GitHub's answer with a token is no JSON",
		"{}":                          "the token of this job is no JSON Web Token with the claims iss, sub and aud",
		`{"value": "` + canary + `"}`: "the token of this job is no JSON Web Token with the claims iss, sub and aud",
		`{"value": "` + strings.Repeat("a", 70<<10) + `"}`: "GitHub's answer with a token is no JSON",
	} {
		synctest.Test(t, func(t *testing.T) {
			answers := roundTrip(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body))}, nil
			})
			s, err := oidc.Find(oidc.Needs{Variable: in(onGitHub()), HTTP: answers})
			if err == nil {
				_, err = s.Token(t.Context())
			}
			if said(err) != want {
				t.Errorf("%.40s: %v", body, err)
			}
		})
	}
}

// TestFind finds the token of each system, or says what is missing.
func TestFind(t *testing.T) {
	v1 := sign(t, map[string]any{"sub": "org/o/project/p/user/u", "aud": "o"})
	v2 := sign(t, map[string]any{"sub": "org/o/project/p/user/u/vcs-origin/g/vcs-ref/m", "aud": []string{"o", "us"}})
	tests := []struct {
		name        string
		environ     map[string]string
		given       string
		audience    string
		token, want string
	}{
		{"circleci", map[string]string{"CIRCLECI": "true", "CIRCLE_OIDC_TOKEN": v1, "CIRCLE_OIDC_TOKEN_V2": v2}, "", "", v2, ""},
		{"circleci before", map[string]string{"CIRCLECI": "true", "CIRCLE_OIDC_TOKEN": v1}, "", "o", v1, ""},
		{"an audience of two", map[string]string{"CIRCLECI": "true", "CIRCLE_OIDC_TOKEN_V2": v2}, "", "us", v2, ""},
		{"given", onGitHub(), v1 + "\n", "", v1, ""},
		{"circleci without a context", map[string]string{"CIRCLECI": "true"}, "", "", "",
			"CircleCI gives this job no token: it needs a context, and a job that a pull request from a fork has started gets none unless the project passes secrets to those"},
		{"another audience", map[string]string{"CIRCLECI": "true", "CIRCLE_OIDC_TOKEN_V2": v2}, "", "sts.amazonaws.com", "",
			`the token of this job is for "o", "us", and not for the audience "sts.amazonaws.com"`},
		{"no token", map[string]string{"CIRCLECI": "true", "CIRCLE_OIDC_TOKEN_V2": "orchid"}, "", "", "",
			"the token of this job is no JSON Web Token with the claims iss, sub and aud"},
		{"github without the permission", map[string]string{"GITHUB_ACTIONS": "true"}, "", "", "",
			"GitHub gives this job no token: it needs the permission id-token: write, and a job that a pull request from a fork has started cannot have it"},
		{"half of it", map[string]string{"GITHUB_ACTIONS": "true", "ACTIONS_ID_TOKEN_REQUEST_URL": "https://tokens.example"}, "", "", "",
			"GitHub gives this job no token: it needs the permission id-token: write, and a job that a pull request from a fork has started cannot have it"},
		{"in the clear", map[string]string{"GITHUB_ACTIONS": "true", "ACTIONS_ID_TOKEN_REQUEST_URL": "http://tokens.example/", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": bearer}, "", "", "",
			"ACTIONS_ID_TOKEN_REQUEST_URL is not https"},
		{"no service", map[string]string{"GITHUB_ACTIONS": "true", "ACTIONS_ID_TOKEN_REQUEST_URL": "tokens", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": bearer}, "", "", "",
			"ACTIONS_ID_TOKEN_REQUEST_URL is not the URL of a service"},
		{"elsewhere", nil, "", "", "",
			"this job has no token: hand one over with the input web-identity-token (on GitLab: id_tokens with the name CONVOX_WEB_IDENTITY_TOKEN)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, err := oidc.Find(oidc.Needs{Variable: in(test.environ), Given: test.given, Audience: test.audience})
			if said(err) != test.want {
				t.Errorf("%v", err)
			}
			if test.want != "" {
				return
			}
			if token, err := s.Token(t.Context()); token != test.token || s.Secret() != test.token || err != nil {
				t.Errorf("%q, %v", token, err)
			}
		})
	}
}

// FuzzParse: what is taken for a token can stand in a header, and what is not does
// not stand in the error.
func FuzzParse(f *testing.F) {
	i, err := oidctest.NewIssuer("https://issuer.example")
	if err != nil {
		f.Fatal(err)
	}
	for _, aud := range []any{"a", []string{"a", "b"}, []string{}, 7, nil} {
		token, err := i.Sign(map[string]any{"sub": "s", "aud": aud})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(token)
	}
	for _, token := range []string{"", "..", "a.b.c", "e30.e30.e30", "eyJhbGciOiJub25lIn0.\neyJ9.c"} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		c, err := oidc.Parse(token)
		if err != nil {
			if len(token) > 20 && strings.Contains(err.Error(), token) {
				t.Errorf("%v", err)
			}
			return
		}
		strange := strings.IndexFunc(token, func(r rune) bool {
			return r != '.' && r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
		})
		if strange >= 0 || strings.Count(token, ".") != 2 || c.Issuer == "" || c.Subject == "" || len(c.Audience) == 0 {
			t.Errorf("%q is taken for a token of %+v", token, c)
		}
	})
}
