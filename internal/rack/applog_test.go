package rack_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// appLog is a rack whose log of an app comes in streams as the test wants.
type appLog struct {
	t      *testing.T
	stream func(n int, w http.ResponseWriter, r *http.Request)
	begun  time.Time
	since  []string // as each stream was asked for
	opened []time.Duration
}

func (l *appLog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.since = append(l.since, r.Header.Get("Since"))
	l.opened = append(l.opened, time.Since(l.begun))
	l.stream(len(l.since), w, r)
}

func (l *appLog) copy(ctx context.Context, t *testing.T, o rack.LogOptions) (string, error) {
	t.Helper()
	l.t, l.begun = t, time.Now()
	c, _ := client(t, l)
	var out safeBuffer
	err := c.AppLog(ctx, "web", o, &out)
	return out.String(), err
}

// socketsOf makes streams of sockets.
func socketsOf(t *testing.T, stream func(n int, s *socket)) func(int, http.ResponseWriter, *http.Request) {
	return func(n int, w http.ResponseWriter, r *http.Request) { stream(n, upgrade(t, w, r)) }
}

// TestAppLogIsOpenedAgain: from where it broke, to the second, at longer and
// longer intervals while nothing new comes.
func TestAppLogIsOpenedAgain(t *testing.T) {
	for _, test := range []struct {
		name   string
		stream func(n int, s *socket)
		since  []string
		opened []time.Duration // in seconds
	}{
		{"nothing came", func(n int, s *socket) {
			time.Sleep(30 * time.Second)
			s.cut()
		}, []string{"2m0s", "2m32s", "3m5s"}, []time.Duration{0, 31, 63}},
		{"something came", func(n int, s *socket) {
			time.Sleep(10 * time.Second)
			s.text("line\n")
			time.Sleep(20 * time.Second)
			s.cut()
		}, []string{"2m0s", "22s", "22s"}, []time.Duration{0, 31, 62}},
		{"nothing more came", func(n int, s *socket) {
			if n == 1 {
				s.text("line\n")
			}
			s.cut()
		}, []string{"2m0s", "2s", "4s", "8s", "16s", "31s", "46s"}, []time.Duration{0, 1, 3, 7, 15, 30, 45}},
	} {
		bubble(t, test.name, func(t *testing.T) {
			l := &appLog{}
			l.stream = socketsOf(t, func(n int, s *socket) {
				if n < len(test.since) {
					test.stream(n, s)
					return
				}
				s.text("last\n")
				s.end()
			})
			out, err := l.copy(t.Context(), t, rack.LogOptions{Follow: true, Since: 2 * time.Minute})
			if err != nil || !strings.HasSuffix(out, "last\n") {
				t.Errorf("%q, %v", out, err)
			}
			if d := cmp.Diff(test.since, l.since); d != "" {
				t.Error(d)
			}
			if !slices.EqualFunc(l.opened, test.opened, func(a, b time.Duration) bool { return a.Round(time.Second) == b*time.Second }) {
				t.Errorf("opened after %v", l.opened)
			}
		})
	}
}

// TestAppLogEnds: where it is not followed at the first end of any kind, and
// else at one that no other stream would change.
func TestAppLogEnds(t *testing.T) {
	full := errors.New("full")
	for _, test := range []struct {
		name   string
		follow bool
		stream func(t *testing.T) func(int, http.ResponseWriter, *http.Request)
		wrong  string
		opened int
	}{
		{"well", false, func(t *testing.T) func(int, http.ResponseWriter, *http.Request) {
			return socketsOf(t, func(_ int, s *socket) { s.text("line\n"); s.end() })
		}, "", 1},
		{"cut", false, func(t *testing.T) func(int, http.ResponseWriter, *http.Request) {
			return socketsOf(t, func(_ int, s *socket) { s.text("line\n"); s.cut() })
		}, "the stream broke off", 1},
		{"refused in the stream", true, func(t *testing.T) func(int, http.ResponseWriter, *http.Request) {
			return socketsOf(t, func(_ int, s *socket) { s.text("ERROR: no such app\n"); s.end() })
		}, "no such app", 1},
		{"refused", true, func(*testing.T) func(int, http.ResponseWriter, *http.Request) {
			return func(_ int, w http.ResponseWriter, _ *http.Request) { answer(w, 403, "not for this key") }
		}, "not for this key", 1},
		{"away", true, func(t *testing.T) func(int, http.ResponseWriter, *http.Request) {
			return func(n int, w http.ResponseWriter, r *http.Request) {
				if n < 3 {
					answer(w, 503, "")
					return
				}
				socketsOf(t, func(_ int, s *socket) { s.end() })(n, w, r)
			}
		}, "", 3},
		{"given up", true, func(t *testing.T) func(int, http.ResponseWriter, *http.Request) {
			return socketsOf(t, func(_ int, s *socket) { s.wait() })
		}, "over", 1},
	} {
		bubble(t, test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, errors.New("over"))
			defer cancel()
			l := &appLog{stream: test.stream(t)}
			_, err := l.copy(ctx, t, rack.LogOptions{Follow: test.follow})
			if (err != nil) != (test.wrong != "") || err != nil && err.Error() != test.wrong || len(l.since) != test.opened {
				t.Errorf("opened %d times, %v", len(l.since), err)
			}
		})
	}
	bubble(t, "no room", func(t *testing.T) {
		r, w := io.Pipe()
		r.CloseWithError(full)
		c, _ := client(t, streaming(t, func(s *socket) { s.text("line\n"); s.wait() }))
		if err := c.AppLog(t.Context(), "web", rack.LogOptions{Follow: true}, w); err != full {
			t.Error(err)
		}
	})
}

// TestAppLogOptions: what the rack is told.
func TestAppLogOptions(t *testing.T) {
	bubble(t, "all", func(t *testing.T) {
		var told http.Header
		c, _ := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			told = r.Header
			upgrade(t, w, r).end()
		}))
		if err := c.AppLog(t.Context(), "web", rack.LogOptions{Since: time.Hour, Prefix: true, Filter: "ERR"}, io.Discard); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"Follow": "false", "Since": "1h0m0s", "Prefix": "true", "Filter": "ERR"} {
			if told.Get(name) != want {
				t.Errorf("%s: %q", name, told.Get(name))
			}
		}
	})
}
