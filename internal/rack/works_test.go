package rack_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// works is a rack with one process, for what no real rack does on demand:
// streams of commands that break where the test wants, and records of any kind.
type works struct {
	t      *testing.T
	begun  time.Time
	app    rack.App
	status func(age time.Duration) string                    // of the process, "" for one that is gone; nil: running
	probe  func(n int, s *socket)                            // nth try of a record; nil: one can be kept
	look   func(n int) string                                // what the nth look at the record prints; "" is never answered
	stream func(n int, s *socket)                            // nth stream of the command
	shake  func(n int, w http.ResponseWriter) bool           // may answer its handshake; nil never does
	other  func(w http.ResponseWriter, r *http.Request) bool // may answer any request; nil never does

	mu       sync.Mutex
	held     string // what the process was started with
	commands []http.Header
	looked   []time.Duration
	probed   int
	stopped  int
}

func (k *works) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/apps/web/")
	switch {
	case k.other != nil && k.other(w, r):
	case strings.HasSuffix(name, "/exec"):
		k.exec(w, r)
	case name == "processes":
		answer(w, 200, []rack.Process{})
	case r.Method == http.MethodPost:
		k.held = r.Header.Get("Command")
		answer(w, 200, rack.Process{ID: "P", App: "web", Status: rack.ProcessPending, Release: "R"})
	case r.Method == http.MethodDelete:
		k.mu.Lock()
		defer k.mu.Unlock()
		k.stopped++
		answer(w, 200, map[string]string{})
	case name == "releases/R":
		answer(w, 200, rack.Release{ID: "R", Build: "B"})
	case name == "builds/B":
		answer(w, 200, rack.Build{ID: "B", Entrypoint: "/entry point"})
	default:
		k.process(w)
	}
}

func (k *works) process(w http.ResponseWriter) {
	status := rack.ProcessRunning
	if k.status != nil {
		status = k.status(time.Since(k.begun))
	}
	if status == "" {
		answer(w, 404, "process not found: P")
		return
	}
	answer(w, 200, rack.Process{ID: "P", Status: status})
}

func (k *works) exec(w http.ResponseWriter, r *http.Request) {
	command := r.Header.Get("Command")
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case strings.Contains(command, "a record can be kept"):
		k.probed++
		n, s := k.probed, upgrade(k.t, w, r)
		if k.probe != nil {
			go k.probe(n, s)
			return
		}
		go ended(s, "a record can be kept\n", 0)
	case strings.Contains(command, "kill -0"):
		k.looked = append(k.looked, time.Since(k.begun))
		s, said := upgrade(k.t, w, r), k.look(len(k.looked))
		if said == "" {
			go s.wait()
			return
		}
		go ended(s, said, 0)
	default:
		k.commands = append(k.commands, r.Header)
		n := len(k.commands)
		if k.shake == nil || !k.shake(n, w) {
			go k.stream(n, upgrade(k.t, w, r))
		}
	}
}

// ended is the stream of a command that prints and ends.
func ended(s *socket, printed string, status int) {
	s.text(printed)
	s.text(fmt.Sprintf("%s%d\n", rack.ExitPrefix, status))
	s.end()
}

// broken is a stream that is cut after some output.
func broken(_ int, s *socket) {
	s.text("some\n")
	s.cut()
}

// result is what came of a command.
type result struct {
	status int
	err    error
	out    string
	took   time.Duration
	said   []string
}

// run runs a command in the works, within a bubble of synctest.
func (k *works) run(ctx context.Context, t *testing.T, input io.Reader) result {
	t.Helper()
	k.t, k.begun = t, time.Now()
	if k.app.Name == "" {
		k.app = rack.App{Name: "web", Generation: "2"}
	}
	c, said := client(t, k)
	var out safeBuffer
	status, err := c.Run(ctx, k.app, rack.Job{Service: "web", Command: "bin/task now", Limit: time.Hour, Input: input, Output: &out})
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stopped != 1 {
		t.Errorf("the process was ended %d times", k.stopped)
	}
	return result{status: status, err: err, out: out.String(), took: time.Since(k.begun), said: said.all()}
}
