package rack_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// stage is a rack with one build, for what no real rack does on demand: answers
// that depend on the time since it began, and log streams that break where the
// test wants.
type stage struct {
	t      *testing.T
	begun  time.Time
	record func(age time.Duration, w http.ResponseWriter) // answers a look at the build
	stream func(n int, s *socket)                         // is the nth log stream, from 1
	shake  func(n int, w http.ResponseWriter) bool        // may answer the nth handshake in its place; nil never does
	mu     sync.Mutex
	looks  []time.Duration // when the build was looked at
	opened []time.Duration // when a stream was opened
}

func (s *stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	age := time.Since(s.begun)
	if !strings.HasSuffix(r.URL.Path, "/logs") {
		s.mu.Lock()
		s.looks = append(s.looks, age)
		s.mu.Unlock()
		s.record(age, w)
		return
	}
	s.mu.Lock()
	s.opened = append(s.opened, age)
	n := len(s.opened)
	s.mu.Unlock()
	if s.shake == nil || !s.shake(n, w) {
		s.stream(n, upgrade(s.t, w, r))
	}
}

// completeAfter is a build that runs for a time.
func completeAfter(d time.Duration) func(time.Duration, http.ResponseWriter) {
	return func(age time.Duration, w http.ResponseWriter) {
		b := rack.Build{ID: "B", App: "web", Status: rack.BuildRunning}
		if age >= d {
			b.Status, b.Release = rack.BuildComplete, "R"
		}
		answer(w, 200, b)
	}
}

// whole is a stream of one message and the end.
func whole(log string) func(int, *socket) {
	return func(_ int, s *socket) {
		s.text(log)
		s.end()
	}
}

// watched is what came of following a build.
type watched struct {
	build rack.Build
	err   error
	out   string
	took  time.Duration
	said  []string
}

// watch follows the build of a stage, within a bubble of synctest.
func watch(ctx context.Context, t *testing.T, s *stage, out io.Writer) watched {
	t.Helper()
	s.t, s.begun = t, time.Now()
	c, said := client(t, s)
	var log safeBuffer
	if out == nil {
		out = &log
	}
	b, err := c.Watch(ctx, "web", "B", out)
	return watched{build: b, err: err, out: log.String(), took: time.Since(s.begun), said: said.all()}
}

// complete fails unless the build was followed to its good end with this log.
func (w watched) complete(t *testing.T, log string) {
	t.Helper()
	if w.err != nil || w.build.Status != rack.BuildComplete || w.build.Release != "R" {
		t.Errorf("got %s, %s, %v", w.build.Status, w.build.Release, w.err)
	}
	if w.out != log {
		t.Errorf("log is\n%q, want\n%q", w.out, log)
	}
}
