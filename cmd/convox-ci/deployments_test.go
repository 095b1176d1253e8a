package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// records stands in for the part of GitHub that keeps deployments, which cannot
// be run here. It lets in who has the token, and keeps what it is told.
type records struct {
	server *httptest.Server
	token  string
	mu     sync.Mutex
	told   []string // path and body
}

func (r *records) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body) // what is cut short is not what a story wants
	r.mu.Lock()
	defer r.mu.Unlock()
	if q.Header.Get("Authorization") != "Bearer "+r.token {
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, `{"message":"Resource not accessible by integration"}`)
		return
	}
	r.told = append(r.told, q.URL.Path+" "+string(body))
	w.WriteHeader(http.StatusCreated)
	io.WriteString(w, `{"id":42}`)
}

// deployments starts a place for records of deployments that a token opens, and
// sets GITHUB_API_URL; without a token it prints what was told since, line by line.
func deployments(ts *testscript.TestScript, neg bool, args []string) {
	s := storyOf(ts)
	switch {
	case neg || len(args) > 1:
		ts.Fatalf("usage: deployments [TOKEN]")
	case len(args) == 1:
		s.records = &records{token: args[0]}
		s.records.server = httptest.NewServer(s.records)
		ts.Defer(s.records.server.Close)
		ts.Setenv("GITHUB_API_URL", s.records.server.URL)
	default:
		s.records.mu.Lock()
		defer s.records.mu.Unlock()
		fmt.Fprintln(ts.Stdout(), strings.Join(s.records.told, "\n"))
		s.records.told = nil
	}
}
