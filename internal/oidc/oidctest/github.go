package oidctest

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// GitHubSoftware is the header Server of the stand-in for GitHub.
const GitHubSoftware = "oidctest (a stand-in for GitHub's service of tokens, for tests)"

// GitHubURL is who issues tokens on github.com.
const GitHubURL = "https://token.actions.githubusercontent.com"

// tokenLife is how long a token of GitHub lasts.
const tokenLife = 5 * time.Minute

// GitHub is a stand-in for the service that gives tokens to jobs. It is an
// [http.Handler]; its address as a job has it is that of a server and [GitHubPath].
type GitHub struct {
	Issuer  *Issuer
	Bearer  string // that the job asks with
	Subject string // of the job
	Now     func() time.Time

	mu    sync.Mutex
	fail  []int
	given []string
}

// GitHubPath is what the address has behind the host.
const GitHubPath = "/jobs/7/idtoken?api-version=2.0"

// Fail has the next requests answered with these statuses, without a token.
func (g *GitHub) Fail(statuses ...int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fail = append(g.fail, statuses...)
}

// Given are the tokens that were given out.
func (g *GitHub) Given() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.given...)
}

// ServeHTTP implements [http.Handler].
func (g *GitHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w.Header().Set("Server", GitHubSoftware)
	if len(g.fail) > 0 {
		status := g.fail[0]
		g.fail = g.fail[1:]
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		return
	}
	q := r.URL.Query()
	switch {
	case r.Header.Get("Authorization") != "Bearer "+g.Bearer:
		w.WriteHeader(http.StatusUnauthorized)
		return
	case r.Method != http.MethodGet || r.URL.Path != "/jobs/7/idtoken" || q.Get("api-version") != "2.0":
		w.WriteHeader(http.StatusNotFound)
		return
	case len(q["audience"]) != 1 || q.Get("audience") == "":
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	now := g.Now()
	token, err := g.Issuer.Sign(map[string]any{
		"sub": g.Subject, "aud": q.Get("audience"), "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(tokenLife).Unix(),
		"jti": len(g.given), // each is another
	})
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	g.given = append(g.given, token)
	json.NewEncoder(w).Encode(map[string]any{"count": len(token), "value": token})
}
