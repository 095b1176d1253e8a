package deployment

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// standIn is a server in the place of GitHub, which cannot be run here: no answer
// of it is evidence of what GitHub does. It demands what GitHub's documentation
// does of a request, and answers in its form.
//
// https://docs.github.com/en/rest/deployments/statuses#create-a-deployment-status
type standIn struct {
	t     *testing.T
	asked []string // path and body of each request that was in order
	fail  []int    // statuses that the next requests get instead; 0 is none
}

const token = "ghs_orchid/pale+42"

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for name, want := range map[string]string{
		"Authorization": "Bearer " + token, "Accept": "application/vnd.github+json",
		"Content-Type": "application/json", "X-Github-Api-Version": "2022-11-28",
	} {
		if got := r.Header.Get(name); got != want {
			s.t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if r.Header.Get("User-Agent") == "" || r.Method != http.MethodPost {
		s.t.Errorf("%s by %q", r.Method, r.Header.Get("User-Agent"))
	}
	body, err := io.ReadAll(r.Body)
	var fields map[string]any
	if err != nil || json.Unmarshal(body, &fields) != nil {
		s.t.Errorf("body %q, %v", body, err)
	}
	if len(s.fail) > 0 {
		status := s.fail[0]
		s.fail = s.fail[1:]
		if status != 0 {
			w.WriteHeader(status)
			io.WriteString(w, `{"message": "Resource not accessible\nby integration", "documentation_url": "x"}`)
			return
		}
	}
	s.asked = append(s.asked, r.URL.Path+" "+string(body))
	w.WriteHeader(http.StatusCreated)
	io.WriteString(w, `{"id": 42, "url": "x"}`)
}

// github is the client of a stand-in, under the path that GHES has its API at.
func (s *standIn) github(t *testing.T) GitHub {
	t.Helper()
	s.t = t
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return GitHub{API: server.URL + "/api/v3", Repository: "acme/shop", Token: token, HTTP: http.DefaultTransport,
		wait: func(context.Context, time.Duration) {}}
}

var order = Order{Ref: "89abcdef", Environment: "acme/production", LogURL: "https://ghes.example/run/1"}

const (
	made  = `/api/v3/repos/acme/shop/deployments {"auto_merge":false,"description":"","environment":"acme/production","ref":"89abcdef","required_contexts":[]}`
	begun = `/api/v3/repos/acme/shop/deployments/42/statuses {"description":"","log_url":"https://ghes.example/run/1","state":"in_progress"}`
)

func TestDeployment(t *testing.T) {
	s := &standIn{}
	d, err := s.github(t).Begin(t.Context(), order)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Say(t.Context(), Success, "https://web.example", "release RABC\nis live"); err != nil {
		t.Fatal(err)
	}
	want := []string{made, begun, `/api/v3/repos/acme/shop/deployments/42/statuses ` +
		`{"description":"release RABC is live","environment_url":"https://web.example","log_url":"https://ghes.example/run/1","state":"success"}`}
	if d := cmp.Diff(want, s.asked); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// A record must not be made twice; a status may be.
func TestTriesAgain(t *testing.T) {
	for _, test := range []struct {
		name string
		fail []int
		want int // requests in order
		err  string
	}{
		{"busy", []int{503, 429}, 2, ""},
		{"busy for too long", []int{503, 503, 503}, 0, "GitHub answered 503: Resource not accessible by integration"},
		{"perhaps made", []int{502}, 0, "GitHub answered 502: Resource not accessible by integration"},
		{"no right", []int{403}, 0, "GitHub answered 403: Resource not accessible by integration"},
		{"a status again", []int{0, 500, 502}, 2, ""},
		{"no right to a status", []int{0, 404}, 1, "GitHub answered 404: Resource not accessible by integration"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &standIn{fail: test.fail}
			_, err := s.github(t).Begin(t.Context(), order)
			if got := text(err); got != test.err || len(s.asked) != test.want {
				t.Errorf("%d requests in order, %q; want %d, %q", len(s.asked), got, test.want, test.err)
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// The token goes nowhere but to the API: not in the clear, and not where an
// answer sends us.
func TestTokenStays(t *testing.T) {
	s := &standIn{}
	g := s.github(t)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s with %q", r.Method, r.URL, r.Header.Get("Authorization"))
	}))
	t.Cleanup(elsewhere.Close)
	moved := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	t.Cleanup(moved.Close)
	for _, api := range []string{moved.URL, "http://api.example", "https://user:pass@api.example", "", "https://", ":"} {
		g.API = api
		if _, err := g.Begin(t.Context(), order); err == nil || strings.Contains(err.Error(), token) || strings.Contains(err.Error(), "pass@") {
			t.Errorf("%q: %v", api, err)
		}
	}
	for _, repository := range []string{"", "acme", "acme/", "/shop", "acme/shop/x", "../shop", "acme/shop?x", "acme/sh%2fop"} {
		g := s.github(t)
		g.Repository = repository
		if _, err := g.Begin(t.Context(), order); err == nil {
			t.Errorf("repository %q is taken", repository)
		}
	}
	if len(s.asked) > 0 {
		t.Errorf("asked %q", s.asked)
	}
}

// TestEndsWithTheContext: who is in a hurry is not kept by tries.
func TestEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &standIn{fail: []int{503, 503, 503}}
	g := s.github(t)
	g.wait = func(context.Context, time.Duration) { cancel() }
	_, err := g.Begin(ctx, order)
	if !errors.Is(err, context.Canceled) || len(s.fail) != 2 {
		t.Errorf("%v, %d answers left", err, len(s.fail))
	}
}

// FuzzCut: a description is one line of valid text that GitHub takes.
func FuzzCut(f *testing.F) {
	f.Add("release is live")
	f.Add(strings.Repeat("é\n", 200) + "\xff")
	f.Fuzz(func(t *testing.T, text string) {
		got := cut(text)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > 140 || strings.ContainsAny(got, "\n\r") {
			t.Errorf("%q", got)
		}
		if short := message([]byte(`{"message":` + quoted(text) + `}`)); !utf8.ValidString(short) || len(short) > maxMessage {
			t.Errorf("%q", short)
		}
	})
}

func quoted(text string) string {
	data, _ := json.Marshal(text)
	return string(data)
}
