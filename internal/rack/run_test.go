package rack_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// noStatus is the error of a command that nobody knows the end of.
func noStatus(err error) bool {
	var none *rack.NoStatusError
	return errors.As(err, &none)
}

// refusing is a rack in which no record can be kept.
func refusing(_ int, s *socket) { ended(s, "sh: not found\n", 127) }

// always is a record that says the same at every look.
func always(said string) func(int) string { return func(int) string { return said } }

// TestRunGivesTheStatus: with a record or without, and the container outlives
// the limit of its command.
func TestRunGivesTheStatus(t *testing.T) {
	for status, want := range map[int]int{0: 0, 3: 3, 255: 255, -1: 255, 256: 255} {
		for name, probe := range map[string]func(int, *socket){"with a record": nil, "without": refusing} {
			bubble(t, name, func(t *testing.T) {
				k := &works{probe: probe, stream: func(_ int, s *socket) { ended(s, "hello\n", status) }}
				got := k.run(t.Context(), t, nil)
				if got.status != want || got.err != nil || got.out != "hello\n" || len(k.commands) != 1 {
					t.Errorf("%d: %+v", status, got)
				}
				if recorded := strings.Contains(k.commands[0].Get("Command"), "bin/task now"); !recorded || k.commands[0].Get("Entrypoint") != "true" {
					t.Errorf("the rack was told %v", k.commands[0])
				}
				seconds, err := strconv.Atoi(strings.TrimPrefix(k.held, "sleep "))
				if err != nil || seconds < 3660 || seconds >= 7200 {
					t.Errorf("the container does %q", k.held)
				}
			})
		}
	}
}

// TestRunOnV3: the entry point that the rack would put before our shell goes
// before the command.
func TestRunOnV3(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &works{app: rack.App{Name: "web", Generation: "3"}, stream: func(_ int, s *socket) { ended(s, "", 4) }}
		got := k.run(t.Context(), t, nil)
		if got.status != 4 || got.err != nil {
			t.Errorf("%+v", got)
		}
		command := k.commands[0].Get("Command")
		if !strings.HasPrefix(command, "sh -c '") || !strings.HasSuffix(command, "' sh /entry point bin/task now") || k.commands[0].Get("Entrypoint") != "" {
			t.Errorf("the rack was told %v", k.commands[0])
		}
	})
}

// TestRunWhoseStreamBreaks: what became of the command is read from its record,
// and it is run a second time only where it was never begun.
func TestRunWhoseStreamBreaks(t *testing.T) {
	refused := func(status, times int) func(int, http.ResponseWriter) bool {
		return func(n int, w http.ResponseWriter) bool {
			if n <= times {
				answer(w, status, "<html>")
			}
			return n <= times
		}
	}
	for _, test := range []struct {
		name   string
		shake  func(int, http.ResponseWriter) bool
		stream func(int, *socket)
		look   func(int) string
		status int
		lost   bool
		runs   int
	}{
		{"it goes on", nil, broken, func(n int) string {
			if n < 4 {
				return "running\n"
			}
			return "ended 7\n"
		}, 7, false, 1},
		{"it ended well", nil, broken, always("ended 0\n"), 0, false, 1},
		{"before any output", nil, func(_ int, s *socket) { s.cut() }, always("ended 9\n"), 9, false, 1},
		{"within the exit line", nil, func(_ int, s *socket) { s.text(rack.ExitPrefix + "1"); s.cut() }, always("ended 12\n"), 12, false, 1},
		{"after the exit line", nil, func(_ int, s *socket) { s.text(rack.ExitPrefix + "5\n"); s.cut() }, always("lost\n"), 5, false, 1},
		{"it was killed", nil, broken, always("lost\n"), 0, true, 1},
		{"it left no record", nil, broken, always("none\n"), 0, true, 1},
		{"the rack ends it without a word", nil, func(_ int, s *socket) { s.text("some\n"); s.end() }, always("ended 6\n"), 6, false, 1},
		{"the rack says why", nil, func(_ int, s *socket) { s.text("ERROR: no such container\n"); s.end() }, always("none\n"), 0, true, 1},
		{"the rack says why of its own stream", nil, func(_ int, s *socket) { s.text("ERROR: connection reset\n"); s.end() }, always("ended 6\n"), 6, false, 1},
		{"v3 says so, and a status", nil, func(_ int, s *socket) {
			s.text(rack.ExitPrefix + "0\n")
			s.text("ERROR: unexpected EOF\n")
			s.end()
		}, always("ended 6\n"), 6, false, 1},
		{"not begun", refused(502, 1), func(_ int, s *socket) { ended(s, "", 0) }, always("none\n"), 0, false, 2},
		{"begun all the same", refused(502, 1), func(_ int, s *socket) { ended(s, "", 0) }, always("ended 8\n"), 8, false, 1},
		{"the first looks bring nothing", nil, broken, func(n int) string { return []string{"garbage\n", "", "ended 2\n"}[min(n, 3)-1] }, 2, false, 1},
	} {
		bubble(t, test.name, func(t *testing.T) {
			k := &works{stream: test.stream, shake: test.shake, look: test.look}
			got := k.run(t.Context(), t, nil)
			if got.status != test.status || noStatus(got.err) != test.lost || !test.lost && got.err != nil || len(k.commands) != test.runs {
				t.Errorf("%d runs, %+v", len(k.commands), got)
			}
		})
	}
}

// TestRunThatIsRefused: a command that the rack may not run is not tried as if
// its answer were lost.
func TestRunThatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &works{shake: func(_ int, w http.ResponseWriter) bool { answer(w, 403, "not for this key"); return true }}
		got := k.run(t.Context(), t, nil)
		if !errors.Is(got.err, rack.ErrForbidden) || len(k.commands) != 1 {
			t.Errorf("%d runs, %+v", len(k.commands), got)
		}
	})
}

// TestRunWithoutARecord: nothing is known after a break, and a process that is
// gone ends a dead stream.
func TestRunWithoutARecord(t *testing.T) {
	bubble(t, "broken", func(t *testing.T) {
		k := &works{probe: refusing, stream: broken}
		if got := k.run(t.Context(), t, nil); !noStatus(got.err) || got.out != "some\n" || len(k.commands) != 1 {
			t.Errorf("%+v", got)
		}
	})
	bubble(t, "dead", func(t *testing.T) {
		k := &works{probe: refusing, stream: func(_ int, s *socket) { s.wait() }, status: func(age time.Duration) string {
			if age < 30*time.Minute {
				return rack.ProcessRunning
			}
			return ""
		}}
		if got := k.run(t.Context(), t, nil); !noStatus(got.err) || got.took < 30*time.Minute || got.took > 35*time.Minute {
			t.Errorf("%+v", got)
		}
	})
	bubble(t, "turned away", func(t *testing.T) {
		k := &works{probe: refusing, stream: func(_ int, s *socket) { ended(s, "", 2) }, shake: func(n int, w http.ResponseWriter) bool {
			if n < 3 {
				answer(w, 503, "")
			}
			return n < 3
		}}
		if got := k.run(t.Context(), t, nil); got.status != 2 || got.err != nil || len(k.commands) != 3 {
			t.Errorf("%+v", got)
		}
	})
	bubble(t, "an answer that is lost", func(t *testing.T) {
		k := &works{probe: refusing, shake: func(_ int, w http.ResponseWriter) bool { answer(w, 504, ""); return true }}
		if got := k.run(t.Context(), t, nil); got.err == nil || len(k.commands) != 1 {
			t.Errorf("%d runs, %+v", len(k.commands), got)
		}
	})
}

// TestRunOnASilentStream: silence is no end, and a dead stream does not hide
// one.
func TestRunOnASilentStream(t *testing.T) {
	quiet := func(_ int, s *socket) {
		time.Sleep(time.Hour)
		ended(s, "at last\n", 3)
	}
	for _, said := range []string{"running\n", "none\n", "garbage\n"} {
		bubble(t, "and the record says "+strings.TrimSpace(said), func(t *testing.T) {
			k := &works{stream: quiet, look: always(said)}
			if got := k.run(t.Context(), t, nil); got.status != 3 || got.err != nil || got.out != "at last\n" || len(k.looked) < 10 {
				t.Errorf("%d looks, %+v", len(k.looked), got)
			}
		})
	}
	bubble(t, "that ends while it is looked at", func(t *testing.T) {
		k := &works{look: always("ended 4\n"), stream: func(_ int, s *socket) {
			time.Sleep(2*time.Minute + time.Second)
			ended(s, "at last\n", 4)
		}}
		if got := k.run(t.Context(), t, nil); got.status != 4 || got.err != nil || got.out != "at last\n" || len(k.looked) != 1 {
			t.Errorf("%d looks, %+v", len(k.looked), got)
		}
	})
	bubble(t, "that is dead", func(t *testing.T) {
		k := &works{stream: func(_ int, s *socket) { s.wait() }}
		k.look = func(int) string {
			if time.Since(k.begun) < 20*time.Minute {
				return "running\n"
			}
			return "ended 5\n"
		}
		if got := k.run(t.Context(), t, nil); got.status != 5 || got.err != nil || got.took < 20*time.Minute || got.took > 25*time.Minute {
			t.Errorf("%+v", got)
		}
	})
}

// TestRunWhoseContainerIsGone: then nothing can be read any more.
func TestRunWhoseContainerIsGone(t *testing.T) {
	for _, status := range []string{"", rack.ProcessStopped, rack.ProcessFailed} {
		bubble(t, status, func(t *testing.T) {
			k := &works{stream: broken, status: func(age time.Duration) string {
				if age < 2*time.Second {
					return rack.ProcessRunning
				}
				return status
			}}
			k.stream = func(n int, s *socket) {
				time.Sleep(time.Minute)
				broken(n, s)
			}
			if got := k.run(t.Context(), t, nil); !noStatus(got.err) || got.took > 2*time.Minute || len(k.looked) > 0 {
				t.Errorf("%d looks, %+v", len(k.looked), got)
			}
		})
	}
}

// TestRunThatIsFed: a rack ends the input of a command whose stream breaks, so
// that ending well proves nothing then.
func TestRunThatIsFed(t *testing.T) {
	stuck, _ := io.Pipe()
	for _, test := range []struct {
		name   string
		input  io.Reader
		look   string
		status int
		lost   bool
	}{
		{"nothing, and it ended well", strings.NewReader(""), "ended 0\n", 0, false},
		{"nothing so far, and it ended well", stuck, "ended 0\n", 0, true},
		{"something, and it ended well", strings.NewReader("insert into"), "ended 0\n", 0, true},
		{"something, and it failed", strings.NewReader("insert into"), "ended 3\n", 3, false},
	} {
		bubble(t, test.name, func(t *testing.T) {
			input := test.input
			if input == io.Reader(stuck) {
				r, w := io.Pipe()
				t.Cleanup(func() { w.Close() })
				input = r
			}
			k := &works{look: always(test.look), stream: func(n int, s *socket) {
				time.Sleep(time.Second)
				broken(n, s)
			}}
			if got := k.run(t.Context(), t, input); got.status != test.status || noStatus(got.err) != test.lost || !test.lost && got.err != nil {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestRunThatNeverStarts: a process must be seen running twice in a row, within
// its time.
func TestRunThatNeverStarts(t *testing.T) {
	flapping := func(age time.Duration) string {
		if age/time.Second%2 == 0 {
			return rack.ProcessRunning
		}
		return rack.ProcessPending
	}
	for _, test := range []struct {
		name   string
		status func(time.Duration) string
		says   string
		took   time.Duration
	}{
		{"pending", func(time.Duration) string { return rack.ProcessPending }, "does not run after 5m0s", 5 * time.Minute},
		{"flapping", flapping, "does not run after 5m0s", 5 * time.Minute},
		{"dying", func(age time.Duration) string {
			if age < time.Second {
				return rack.ProcessRunning
			}
			return rack.ProcessStopped
		}, "is stopped before anything could be run in it", time.Second},
		{"not there", func(time.Duration) string { return "" }, "is gone before anything could be run in it", 10 * time.Second},
	} {
		bubble(t, test.name, func(t *testing.T) {
			k := &works{status: test.status}
			got := k.run(t.Context(), t, nil)
			if got.err == nil || !strings.Contains(got.err.Error(), test.says) || got.took < test.took || got.took > test.took+time.Second || k.probed > 0 {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestRunWhoseProbeFails: a container that does not answer holds up nothing.
func TestRunWhoseProbeFails(t *testing.T) {
	for name, probe := range map[string]func(int, *socket){"dead": func(_ int, s *socket) { s.wait() }, "cut": broken} {
		bubble(t, name, func(t *testing.T) {
			k := &works{probe: probe, stream: func(_ int, s *socket) { ended(s, "", 3) }}
			got := k.run(t.Context(), t, nil)
			if got.status != 3 || got.err != nil || got.took > 5*time.Minute || strings.Contains(k.commands[0].Get("Command"), "/tmp") {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestRunThatIsCancelled: the process is ended and the reason is the caller's,
// wherever the command was.
func TestRunThatIsCancelled(t *testing.T) {
	over := errors.New("over")
	starting := func(time.Duration) string { return rack.ProcessPending }
	for name, k := range map[string]*works{
		"starting": {status: starting}, "probing": {probe: func(_ int, s *socket) { s.wait() }}, "running": {stream: func(_ int, s *socket) { s.wait() }},
		"looking": {stream: broken, look: always("running\n")}, "without a record": {probe: refusing, stream: func(_ int, s *socket) { s.wait() }},
	} {
		bubble(t, name, func(t *testing.T) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Second, over)
			defer cancel()
			if got := k.run(ctx, t, nil); !errors.Is(got.err, over) || got.took > 11*time.Second {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestRunWhoseProcessCannotBeEnded: the status counts, and that is said.
func TestRunWhoseProcessCannotBeEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &works{stream: func(_ int, s *socket) { ended(s, "", 3) }, stopped: 1}
		k.other = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodDelete {
				return false
			}
			answer(w, 500, "no")
			return true
		}
		got := k.run(t.Context(), t, nil)
		if got.status != 3 || got.err != nil || len(got.said) != 1 || !strings.Contains(got.said[0], "could not be ended: no") {
			t.Errorf("%+v", got)
		}
	})
}
