package workflow_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// said is what a job has said and put out.
type said struct {
	mu      sync.Mutex
	text    strings.Builder
	outputs map[string]string
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) Output(name, value string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outputs[name] = value
	return nil
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// has fails unless these outputs are written.
func (s *said) has(t *testing.T, want map[string]string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	got := maps.Clone(s.outputs)
	for name, value := range want {
		if got[name] != value {
			t.Errorf("output %s is %q, want %q, among %v", name, got[name], value, got)
		}
	}
}

// heard gives a job that remembers what it says.
func heard(j workflow.Job) (workflow.Job, *said) {
	s := &said{outputs: map[string]string{}}
	j.Log, j.Outputs = ci.Open(ci.Run{System: ci.Plain}, nil, s), s
	return j, s
}

// via is a way to a rack that may answer in its place.
type via struct {
	http.RoundTripper
	answer func(*http.Request) (status int, text string) // 0 hands the request on
}

func (v via) RoundTrip(r *http.Request) (*http.Response, error) {
	if status, text := v.answer(r); status != 0 {
		if r.Body != nil {
			io.Copy(io.Discard, r.Body)
			r.Body.Close()
		}
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
	}
	return v.RoundTripper.RoundTrip(r)
}

// past puts a way in front of a job's rack.
func past(j workflow.Job, answer func(*http.Request) (int, string)) workflow.Job {
	j.Rack = rack.New(j.Rack.Endpoint(), via{http.DefaultTransport, answer}, nil)
	return j
}

// within is a way to a rack without a network between, for bubbles of synctest.
type within struct{ http.Handler }

func (w within) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	answer := httptest.NewRecorder()
	asked := r.Clone(r.Context())
	asked.RequestURI = r.URL.RequestURI()
	if asked.Body == nil {
		asked.Body = http.NoBody
	}
	w.ServeHTTP(answer, asked)
	res := answer.Result()
	res.Request = r
	return res, nil
}

// bubbled is a job on a rack within a bubble, past which some requests are
// answered.
func bubbled(t *testing.T, app rack.App, answer func(*http.Request) (int, string), releases ...rack.Release) (workflow.Job, *said) {
	t.Helper()
	endpoint, err := rack.Direct("http://convox:key@rack.invalid")
	if err != nil {
		t.Fatal(err)
	}
	return heard(workflow.Job{Rack: rack.New(endpoint, via{within{stocked(t, app, releases...)}, answer}, nil)})
}

// at is when the nth release of a shop was made.
func at(n int) time.Time { return time.Date(2026, 1, 1, n, 0, 0, 0, time.UTC) }

const imageManifest = "services:\n  web:\n    image: x\n"

var target = workflow.Target{App: "shop"}
var minute = workflow.Limits{Timeout: time.Minute}

// active is the app with an active release.
func active(id string) rack.App {
	a := running
	a.Release = id
	return a
}
