package rack_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// A log that is not there changes nothing about when a build is over, beyond the
// time it is given to end by itself.
func TestStreamNeverDecides(t *testing.T) {
	const ends = 10 * time.Minute
	for _, test := range []struct {
		name   string
		stream func(int, *socket)
		shake  func(int, http.ResponseWriter) bool
		log    string
		slack  time.Duration // after the end of the build
	}{
		{"silent", func(_ int, s *socket) { s.wait() }, nil, "", 30 * time.Second},
		{"stuck after a while", func(_ int, s *socket) { s.text(messages[0]); s.wait() }, nil, messages[0], 30 * time.Second},
		{"stuck until the build ends", func(n int, s *socket) {
			if n > 1 {
				whole(theLog)(n, s)
				return
			}
			s.text(messages[0])
			s.wait()
		}, nil, theLog, 10 * time.Second},
		{"a stuck handshake", nil, func(_ int, w http.ResponseWriter) bool { time.Sleep(time.Hour); return true }, "", 3 * time.Minute},
		{"503", nil, func(_ int, w http.ResponseWriter) bool { answer(w, 503, "<html>"); return true }, "", time.Minute},
		{"404", nil, func(_ int, w http.ResponseWriter) bool { answer(w, 404, ""); return true }, "", time.Minute},
		{"200 instead of 101", nil, func(_ int, w http.ResponseWriter) bool { io.WriteString(w, "<html>"); return true }, "", time.Minute},
		{"over at once", whole(""), nil, "", 10 * time.Second},
		{"over at once, again and again", func(_ int, s *socket) { s.end() }, nil, "", 10 * time.Second},
		{"refused", whole("ERROR: no such build\n"), nil, "ERROR: no such build\n", 30 * time.Second},
	} {
		bubble(t, test.name, func(t *testing.T) {
			got := watch(t.Context(), t, &stage{record: completeAfter(ends), stream: test.stream, shake: test.shake}, nil)
			got.complete(t, test.log)
			if got.took < ends || got.took > ends+test.slack {
				t.Errorf("took %s", got.took)
			}
		})
	}
}

// What still comes when the build has ended is waited for: nobody knows whether
// the stored log can be had.
func TestLogMayEndAfterTheBuild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		watch(t.Context(), t, &stage{record: completeAfter(0), stream: func(_ int, s *socket) {
			s.text(messages[0])
			time.Sleep(3 * time.Second)
			for _, m := range messages[1:] {
				s.text(m)
			}
			s.end()
		}, shake: func(n int, w http.ResponseWriter) bool {
			if n > 1 {
				answer(w, 503, "")
			}
			return n > 1
		}}, nil).complete(t, theLog)
	})
}

func TestFailedBuildIsNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := watch(t.Context(), t, &stage{stream: whole(theLog), record: func(age time.Duration, w http.ResponseWriter) {
			answer(w, 200, rack.Build{ID: "B", Status: rack.BuildFailed, Reason: "exit status 1"})
		}}, nil)
		if got.err != nil || got.build.Status != rack.BuildFailed || got.build.Reason != "exit status 1" || got.out != theLog {
			t.Errorf("got %v, %v, %q", got.build, got.err, got.out)
		}
	})
}

func TestPollsFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stage{record: completeAfter(time.Minute), stream: func(_ int, s *socket) { s.wait() }}
		watch(t.Context(), t, s, nil)
		if len(s.looks) < 25 || s.looks[0] > 0 || s.looks[1] > 2*time.Second {
			t.Errorf("looked at %v", s.looks)
		}
	})
}

// v2 racks end the log a moment before the build is called complete, the
// embedded rack a moment after: then nobody has to wait.
func TestEndOfTheLogBringsTheNextLooks(t *testing.T) {
	const logEnds = 5 * time.Second
	for name, test := range map[string]struct{ ends, most time.Duration }{
		"before the record": {logEnds + 100*time.Millisecond, logEnds + 500*time.Millisecond},
		"after the record":  {logEnds - time.Millisecond, logEnds},
	} {
		bubble(t, name, func(t *testing.T) {
			got := watch(t.Context(), t, &stage{record: completeAfter(test.ends), stream: func(n int, s *socket) {
				if n == 1 {
					time.Sleep(logEnds)
				}
				whole(theLog)(n, s)
			}}, nil)
			got.complete(t, theLog)
			if got.took > test.most {
				t.Errorf("took %s, want at most %s", got.took, test.most)
			}
		})
	}
}

func TestFaultsOfPolls(t *testing.T) {
	const runs = 20 * time.Minute
	fail := func(from, to time.Duration, status int, text string) func(time.Duration, http.ResponseWriter) {
		return func(age time.Duration, w http.ResponseWriter) {
			if from <= age && age < to {
				answer(w, status, text)
				return
			}
			completeAfter(runs)(age, w)
		}
	}
	for _, test := range []struct {
		name   string
		record func(time.Duration, http.ResponseWriter)
		gives  time.Duration // up after this time or a little later, 0 if never
		want   error
	}{
		{"a moment of 500", fail(time.Minute, 2*time.Minute, 500, "Rate exceeded"), 0, nil},
		{"minutes of 503", fail(time.Minute, 5*time.Minute, 503, ""), 0, nil},
		{"minutes of a redirect", fail(time.Minute, 5*time.Minute, 302, ""), 0, nil},
		{"minutes of dropped connections", func(age time.Duration, w http.ResponseWriter) {
			if time.Minute < age && age < 5*time.Minute {
				panic(http.ErrAbortHandler)
			}
			completeAfter(runs)(age, w)
		}, 0, nil},
		{"minutes of silence", func(age time.Duration, w http.ResponseWriter) {
			if time.Minute < age && age < 3*time.Minute {
				time.Sleep(time.Hour)
			}
			completeAfter(runs)(age, w)
		}, 0, nil},
		{"not there yet", fail(0, 5*time.Second, 404, "build not found: B"), 0, nil},
		{"503 for good", fail(time.Minute, time.Hour, 503, ""), 358 * time.Second, rack.ErrUnavailable},
		{"500 for good", fail(time.Minute, time.Hour, 500, "internal"), 358 * time.Second, nil},
		{"never there", fail(0, time.Hour, 404, "build not found: B"), 10 * time.Second, rack.ErrNotFound},
		{"gone", fail(time.Minute, time.Hour, 500, `builds.convox.com "b" not found`), time.Minute, rack.ErrNotFound},
		{"the key is revoked", fail(time.Minute, time.Hour, 401, "invalid authentication"), time.Minute, rack.ErrUnauthorized},
		{"forbidden", fail(time.Minute, time.Hour, 403, "no"), time.Minute, rack.ErrForbidden},
	} {
		bubble(t, test.name, func(t *testing.T) {
			got := watch(t.Context(), t, &stage{record: test.record, stream: whole(theLog)}, nil)
			if test.gives == 0 {
				got.complete(t, theLog)
				return
			}
			if got.err == nil || test.want != nil && !errors.Is(got.err, test.want) {
				t.Errorf("got %v, want %v", got.err, test.want)
			}
			if got.took < test.gives || got.took > test.gives+3*time.Minute { // the last look has tries of its own
				t.Errorf("gave up after %s", got.took)
			}
			if got.build.ID != "B" || got.build.App != "web" || got.build.Final() {
				t.Errorf("build %v", got.build)
			}
		})
	}
}

// full is a disk with room for so many bytes.
type full struct {
	room int
	err  error
	then int // writes after the error
}

func (f *full) Write(p []byte) (int, error) {
	if f.room == 0 {
		f.then++
	}
	n := min(len(p), f.room)
	f.room -= n
	if n < len(p) {
		return n, f.err
	}
	return n, nil
}

func TestFaultOfTheWriterEndsWatch(t *testing.T) {
	cause := errors.New("no space left")
	for _, test := range []struct {
		name string
		runs time.Duration
		err  error
		want error
	}{
		{"while the build runs", time.Hour, cause, cause},
		{"when it has ended", 0, cause, cause},
		{"without an error of its own", time.Hour, nil, io.ErrShortWrite},
	} {
		bubble(t, test.name, func(t *testing.T) {
			s := &stage{record: completeAfter(test.runs), stream: func(n int, s *socket) {
				if test.runs == 0 && n == 1 { // the log comes too late
					s.wait()
					return
				}
				whole(theLog)(n, s)
			}}
			disk := &full{room: 10, err: test.err}
			got := watch(t.Context(), t, s, disk)
			if got.err != test.want || got.took > 10*time.Second || disk.then > 1 {
				t.Errorf("got %v after %s, written to %d times more", got.err, got.took, disk.then)
			}
		})
	}
	bubble(t, "of a log that is asked for", func(t *testing.T) {
		c, _ := client(t, &stage{t: t, record: completeAfter(0), stream: whole(theLog)})
		if err := c.Log(t.Context(), "web", "B", &full{room: 10, err: cause}); err != cause {
			t.Errorf("got %v", err)
		}
	})
}

// A place that the log is copied to may be slow without that being taken for a
// log that does not come.
func TestSlowWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log safeBuffer
		slow := writerFunc(func(p []byte) (int, error) {
			time.Sleep(time.Minute)
			return log.Write(p)
		})
		got := watch(t.Context(), t, &stage{record: completeAfter(0), stream: func(_ int, s *socket) { sendAll(s); s.end() }}, slow)
		if got.err != nil || log.String() != theLog || len(got.said) > 0 {
			t.Errorf("got %q, %v, said %q", &log, got.err, got.said)
		}
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// A bubble of synctest does not end before all its goroutines have: those that
// a cancelled Watch left behind would show as a deadlock.
func TestCancelledWatch(t *testing.T) {
	cause := errors.New("the job was cancelled")
	for name, s := range map[string]*stage{
		"while the log is silent":       {record: completeAfter(time.Hour), stream: func(_ int, s *socket) { s.wait() }},
		"while the log comes":           {record: completeAfter(time.Hour), stream: func(_ int, s *socket) { s.text(theLog); s.wait() }},
		"while a stream is opened":      {record: completeAfter(time.Hour), shake: func(_ int, w http.ResponseWriter) bool { time.Sleep(20 * time.Minute); return true }},
		"between streams":               {record: completeAfter(time.Hour), stream: func(_ int, s *socket) { s.cut() }},
		"after the end of the log":      {record: completeAfter(time.Hour), stream: whole(theLog)},
		"while a look is not answered":  {record: func(time.Duration, http.ResponseWriter) { time.Sleep(20 * time.Minute) }, stream: whole("")},
		"while looks are tried again":   {record: func(_ time.Duration, w http.ResponseWriter) { answer(w, 503, "") }, stream: whole("")},
		"while the rack is asked first": {record: func(_ time.Duration, w http.ResponseWriter) { answer(w, 404, "") }, stream: whole("")},
	} {
		bubble(t, name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(4100*time.Millisecond, func() { cancel(cause) })
			got := watch(ctx, t, s, nil)
			if got.err != cause || got.took != 4100*time.Millisecond || got.build.ID != "B" {
				t.Errorf("got %v, %v after %s", got.build, got.err, got.took)
			}
		})
	}
}

// The end is known: that the rest of the log cannot be waited for is no error.
func TestCancelledAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		got := watch(ctx, t, &stage{record: completeAfter(0), stream: func(_ int, s *socket) { s.wait() }}, nil)
		got.complete(t, "")
		if got.took != 3*time.Second || len(got.said) != 1 || !strings.Contains(got.said[0], "may be missing") {
			t.Errorf("took %s, said %q", got.took, got.said)
		}
	})
}
