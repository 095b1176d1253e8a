package rack_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// look is how an app looks from a time on, counted from the promote.
type look struct {
	from            time.Duration
	status, release string
}

// timeline is a rack whose app changes its looks by the clock.
type timeline struct {
	generation string
	begun      time.Time
	looks      []look
	fault      func(age time.Duration, w http.ResponseWriter) bool // may answer instead; nil never does
}

func (l *timeline) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	age := time.Since(l.begun)
	if l.fault != nil && l.fault(age, w) {
		return
	}
	var now look
	for _, x := range l.looks {
		if x.from <= age {
			now = x
		}
	}
	answer(w, 200, rack.App{Name: "web", Generation: l.generation, Status: now.status, Release: now.release})
}

// await waits for the verdict on a promote of NEW.
func (l *timeline) await(ctx context.Context, t *testing.T, previous string) (rack.Outcome, time.Duration) {
	t.Helper()
	l.begun = time.Now()
	c, _ := client(t, l)
	o := c.Await(ctx, "web", "NEW", previous)
	return o, time.Since(l.begun)
}

const (
	sec      = time.Second
	up       = rack.AppRunning
	updating = rack.AppUpdating
	rollback = rack.AppRollback
)

func TestVerdict(t *testing.T) {
	for _, test := range []struct {
		name       string
		generation string
		previous   string
		looks      []look
		want       rack.Verdict
		active     string
		min, max   time.Duration
	}{
		// v2: the id changes when the update is complete.
		{"v2 live", "2", "OLD", []look{{0, updating, "OLD"}, {60 * sec, up, "NEW"}}, rack.Live, "NEW", 60 * sec, 62 * sec},
		{"v2 live, update shows late", "2", "OLD", []look{{0, up, "OLD"}, {20 * sec, updating, "OLD"}, {60 * sec, up, "NEW"}}, rack.Live, "NEW", 60 * sec, 62 * sec},
		{"v2 live, update never seen", "2", "OLD", []look{{0, up, "OLD"}, {1 * sec, up, "NEW"}}, rack.Live, "NEW", 0, 4 * sec},
		{"v2 live at once", "2", "OLD", []look{{0, up, "NEW"}}, rack.Live, "NEW", 0, 0},
		{"v2 rolled back", "2", "OLD", []look{{0, updating, "OLD"}, {60 * sec, rollback, "OLD"}, {90 * sec, up, "OLD"}}, rack.RolledBack, "OLD", 90 * sec, 92 * sec},
		{"v2 rolled back, not seen going", "2", "OLD", []look{{0, updating, "OLD"}, {60 * sec, up, "OLD"}}, rack.RolledBack, "OLD", 60 * sec, 62 * sec},
		{"v2 update never shows", "2", "OLD", []look{{0, up, "OLD"}}, rack.RolledBack, "OLD", 30 * sec, 32 * sec},
		{"v2 superseded", "2", "OLD", []look{{0, updating, "OLD"}, {30 * sec, updating, "NEW"}, {60 * sec, up, "OTHER"}}, rack.Superseded, "OTHER", 60 * sec, 62 * sec},
		{"v2 another is active from the start", "2", "OLD", []look{{0, up, "OTHER"}}, rack.Superseded, "OTHER", 30 * sec, 32 * sec},
		{"v2 previous is out of date", "2", "OLDER", []look{{0, up, "OLD"}, {6 * sec, updating, "OLD"}, {60 * sec, up, "NEW"}}, rack.Live, "NEW", 60 * sec, 62 * sec},
		{"v2 back to what previous did not know", "2", "OLDER", []look{{0, updating, "OLD"}, {6 * sec, rollback, "OLD"}, {60 * sec, up, "OLD"}}, rack.RolledBack, "OLD", 60 * sec, 62 * sec},
		{"v2 first promote", "2", "", []look{{0, up, ""}, {6 * sec, updating, ""}, {60 * sec, up, "NEW"}}, rack.Live, "NEW", 60 * sec, 62 * sec},
		{"v2 first promote rolled back", "2", "", []look{{0, updating, ""}, {60 * sec, rollback, ""}, {90 * sec, up, ""}}, rack.RolledBack, "", 90 * sec, 92 * sec},
		{"v2 failed", "2", "OLD", []look{{0, updating, "OLD"}, {60 * sec, rack.AppFailed, "OLD"}}, rack.Unknown, "OLD", 60 * sec, 62 * sec},
		{"v2 other states are not rest", "2", "OLD", []look{{0, updating, "OLD"}, {10 * sec, "unknown", "NEW"}, {20 * sec, rack.AppCreating, "NEW"}, {60 * sec, up, "NEW"}}, rack.Live, "NEW", 60 * sec, 62 * sec},
		{"no generation is v2", "", "OLD", []look{{0, updating, "OLD"}, {60 * sec, up, "NEW"}}, rack.Live, "NEW", 60 * sec, 62 * sec},
		// The active release again: its id says nothing.
		{"v2 again", "2", "NEW", []look{{0, up, "NEW"}, {20 * sec, updating, "NEW"}, {60 * sec, up, "NEW"}}, rack.Live, "NEW", 60 * sec, 62 * sec},
		{"v2 again, nothing to do", "2", "NEW", []look{{0, up, "NEW"}}, rack.Live, "NEW", 30 * sec, 32 * sec},
		{"v2 again, rolled back", "2", "NEW", []look{{0, updating, "NEW"}, {30 * sec, rollback, "NEW"}, {60 * sec, up, "NEW"}}, rack.RolledBack, "NEW", 60 * sec, 62 * sec},
		{"v3 again", "3", "NEW", []look{{0, updating, "NEW"}, {60 * sec, up, "NEW"}}, rack.Live, "NEW", 60 * sec, 62 * sec},
		{"v3 again, nothing to do", "3", "NEW", []look{{0, up, "NEW"}}, rack.Live, "NEW", 15 * sec, 17 * sec},
		{"v3 again, rolled back", "3", "NEW", []look{{0, updating, "NEW"}, {30 * sec, rollback, "NEW"}, {60 * sec, up, "NEW"}}, rack.RolledBack, "NEW", 60 * sec, 62 * sec},
		// v3: the id changes at promote, and back.
		{"v3 live", "3", "OLD", []look{{0, updating, "NEW"}, {60 * sec, up, "NEW"}}, rack.Live, "NEW", 60 * sec, 62 * sec},
		{"v3 live, at rest before it begins", "3", "OLD", []look{{0, up, "NEW"}, {10 * sec, updating, "NEW"}, {60 * sec, up, "NEW"}}, rack.Live, "NEW", 60 * sec, 62 * sec},
		{"v3 live, update never seen", "3", "OLD", []look{{0, up, "NEW"}}, rack.Live, "NEW", 15 * sec, 17 * sec},
		{"v3 rolled back", "3", "OLD", []look{{0, updating, "NEW"}, {60 * sec, rollback, "OLD"}, {90 * sec, up, "OLD"}}, rack.RolledBack, "OLD", 90 * sec, 92 * sec},
		{"v3 rolled back, not seen going", "3", "OLD", []look{{0, updating, "NEW"}, {60 * sec, up, "OLD"}}, rack.RolledBack, "OLD", 60 * sec, 62 * sec},
		{"v3 rolled back, only ids seen", "3", "OLD", []look{{0, up, "NEW"}, {10 * sec, up, "OLD"}}, rack.RolledBack, "OLD", 30 * sec, 32 * sec},
		{"v3 at rest before the id goes back", "3", "OLD", []look{{0, updating, "NEW"}, {30 * sec, rollback, "NEW"}, {60 * sec, up, "NEW"}, {65 * sec, up, "OLD"}}, rack.RolledBack, "OLD", 65 * sec, 67 * sec},
		{"v3 rest begins anew after going back", "3", "OLD", []look{{0, up, "NEW"}, {10 * sec, rollback, "NEW"}, {40 * sec, up, "NEW"}}, rack.Live, "NEW", 55 * sec, 57 * sec},
		{"v3 superseded", "3", "OLD", []look{{0, updating, "NEW"}, {30 * sec, updating, "OTHER"}, {60 * sec, up, "OTHER"}}, rack.Superseded, "OTHER", 60 * sec, 62 * sec},
		{"v3 first promote", "3", "", []look{{0, updating, "NEW"}, {60 * sec, up, "NEW"}}, rack.Live, "NEW", 60 * sec, 62 * sec},
	} {
		bubble(t, test.name, func(t *testing.T) {
			l := &timeline{generation: test.generation, looks: test.looks}
			o, took := l.await(t.Context(), t, test.previous)
			if o.Verdict != test.want || o.Active != test.active || (o.Reason == "") != (test.want == rack.Live) {
				t.Errorf("got %+v, want %s with %q", o, test.want, test.active)
			}
			if took < test.min || took > test.max {
				t.Errorf("took %s, want %s to %s", took, test.min, test.max)
			}
		})
	}
}

func TestVerdictOfWhoStoppedWaiting(t *testing.T) {
	for _, test := range []struct {
		name   string
		ctx    func(context.Context) (context.Context, context.CancelFunc)
		looks  []look
		want   rack.Verdict
		reason string
	}{
		{"deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Hour)
		},
			[]look{{0, updating, "OLD"}}, rack.TimedOut, "after 1h0m0s the app is updating with release OLD"},
		{"deadline with a cause", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeoutCause(ctx, time.Hour, errors.New("promote-timeout"))
		}, []look{{0, rollback, ""}}, rack.TimedOut, "after 1h0m0s the app is rollback with no release"},
		{"cancelled", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			time.AfterFunc(time.Minute, func() { cancel(errors.New("the job was cancelled")) })
			return ctx, func() { cancel(nil) }
		}, []look{{0, updating, "OLD"}}, rack.Cancelled, "the job was cancelled"},
	} {
		bubble(t, test.name, func(t *testing.T) {
			ctx, done := test.ctx(t.Context())
			defer done()
			l := &timeline{generation: "2", looks: test.looks}
			o, _ := l.await(ctx, t, "OLD")
			if o.Verdict != test.want || o.Reason != test.reason || o.Active != test.looks[0].release {
				t.Errorf("got %+v", o)
			}
		})
	}
	bubble(t, "deadline before the first look", func(t *testing.T) {
		ctx, done := context.WithTimeout(t.Context(), time.Minute)
		defer done()
		l := &timeline{fault: func(_ time.Duration, w http.ResponseWriter) bool { answer(w, 503, ""); return true }}
		if o, _ := l.await(ctx, t, "OLD"); o.Verdict != rack.TimedOut || o.Reason != "nothing was seen of the app in 1m0s" || o.Active != "" {
			t.Errorf("got %+v", o)
		}
	})
}

func TestVerdictThroughFaults(t *testing.T) {
	for _, test := range []struct {
		name     string
		fault    func(age time.Duration) (status int, text string)
		want     rack.Verdict
		min, max time.Duration
	}{
		{"a rack away for minutes", func(age time.Duration) (int, string) { return between(age, sec, 240*sec, 503), "" }, rack.Live, 5 * time.Minute, 302 * sec},
		{"a rack that is throttled", func(age time.Duration) (int, string) { return between(age, sec, 240*sec, 500), "Rate exceeded" }, rack.Live, 5 * time.Minute, 302 * sec},
		{"a rack away for long", func(age time.Duration) (int, string) { return between(age, sec, time.Hour, 503), "" }, rack.Unknown, 5 * time.Minute, 8 * time.Minute},
		{"an app that is deleted", func(age time.Duration) (int, string) {
			return between(age, 60*sec, time.Hour, 404), "app not found: web"
		}, rack.Unknown, 60 * sec, 62 * sec},
		{"a key that is revoked", func(age time.Duration) (int, string) {
			return between(age, 60*sec, time.Hour, 401), "invalid authentication"
		}, rack.Unknown, 60 * sec, 62 * sec},
	} {
		bubble(t, test.name, func(t *testing.T) {
			l := &timeline{generation: "2", looks: []look{{0, updating, "OLD"}, {300 * sec, up, "NEW"}}}
			l.fault = func(age time.Duration, w http.ResponseWriter) bool {
				status, text := test.fault(age)
				if status != 0 {
					answer(w, status, text)
				}
				return status != 0
			}
			o, took := l.await(t.Context(), t, "OLD")
			if o.Verdict != test.want || took < test.min || took > test.max {
				t.Errorf("got %+v after %s", o, took)
			}
			if _, text := test.fault(0); test.want == rack.Unknown && (!strings.Contains(o.Reason, text) || o.Active != "OLD") {
				t.Errorf("got %+v", o)
			}
		})
	}
}

// between is a status from one time to another, else 0.
func between(age, from, to time.Duration, status int) int {
	if age < from || age >= to {
		return 0
	}
	return status
}

func TestAwaitLooksAtOnceAndOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		l := &timeline{generation: "2", looks: []look{{0, updating, "OLD"}, {60 * sec, up, "NEW"}}}
		l.fault = func(age time.Duration, _ http.ResponseWriter) bool {
			if n == 0 && age > 0 {
				t.Errorf("the first look came after %s", age)
			}
			n++
			return false
		}
		if l.await(t.Context(), t, "OLD"); n < 25 {
			t.Errorf("%d looks in a minute", n)
		}
	})
}
