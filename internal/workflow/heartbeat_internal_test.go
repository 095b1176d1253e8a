package workflow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/convox-ci/convox-ci/internal/ci"
)

// spoken is a place that lines are printed to, which knows when.
type spoken struct {
	text strings.Builder
	last atomic.Pointer[time.Time]
}

func (s *spoken) Write(p []byte) (int, error) {
	now := time.Now()
	s.last.Store(&now)
	return s.text.Write(p)
}

// TestHeartbeat: a line for each minute in which nothing is said, and none
// besides.
func TestHeartbeat(t *testing.T) {
	for _, test := range []struct {
		name   string
		counts bool            // somebody keeps count of what is printed
		at     []time.Duration // when something else is printed
		lasts  time.Duration
		want   string
	}{
		{"silence", true, nil, 3*time.Minute + time.Second, "Still waiting for it, since 1m0s\nStill waiting for it, since 2m0s\nStill waiting for it, since 3m0s\n"},
		{"nobody counts", false, nil, 2*time.Minute + time.Second, "Still waiting for it, since 1m0s\nStill waiting for it, since 2m0s\n"},
		{"short", true, nil, 59 * time.Second, ""},
		{"some words", true, []time.Duration{50 * time.Second, 100 * time.Second}, 3 * time.Minute, "x\nx\nStill waiting for it, since 2m40s\n"},
		{"many words", true, []time.Duration{30 * time.Second, 60 * time.Second, 119 * time.Second}, 2*time.Minute + 58*time.Second, "x\nx\nx\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun, out := time.Now(), &spoken{}
				before := begun.Add(-time.Hour)
				out.last.Store(&before)
				j := Job{Log: ci.Open(ci.Run{System: ci.Plain}, nil, out)}
				if test.counts {
					j.LastWord = func() time.Time { return *out.last.Load() }
				}
				done := j.awaiting("it")
				for _, at := range test.at {
					time.Sleep(at - time.Since(begun))
					fmt.Fprintln(j.Log, "x")
					synctest.Wait()
				}
				time.Sleep(test.lasts - time.Since(begun))
				done()
				time.Sleep(time.Hour)
				if got := out.text.String(); got != test.want {
					t.Errorf("printed\n%swant\n%s", got, test.want)
				}
			})
		})
	}
}

// TestLimits: the limit that is over is named, the outer one where that comes
// first, and nothing else counts as one.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			outer, inner time.Duration
			want         string
		}{{time.Hour, time.Minute, "build-timeout after 1m0s"}, {time.Minute, time.Hour, "timeout after 1m0s"}, {time.Minute, 0, "timeout after 1m0s"}} {
			ctx, done := limited(t.Context(), "timeout", test.outer)
			inner, end := limited(ctx, "build-timeout", test.inner)
			<-inner.Done()
			err := fmt.Errorf("x: %w", context.Cause(inner))
			if err.Error() != "x: "+test.want || !errors.Is(err, context.DeadlineExceeded) || statusOf(ctx, err) != statusTimeout {
				t.Errorf("%+v: %v, status %s", test, err, statusOf(ctx, err))
			}
			end()
			done()
		}
		ctx, done := limited(t.Context(), "timeout", 0)
		if _, limit := ctx.Deadline(); limit {
			t.Error("no limit is one")
		}
		if got := statusOf(ctx, context.DeadlineExceeded); got != statusFailed { // of the network
			t.Errorf("status %s", got)
		}
		done()
		if got := statusOf(ctx, io.EOF); got != statusCancelled {
			t.Errorf("status %s", got)
		}
		after, end := cleanup(ctx)
		defer end()
		var over atomic.Bool
		context.AfterFunc(after, func() { over.Store(true) })
		time.Sleep(cleanupLimit - time.Millisecond)
		if synctest.Wait(); over.Load() {
			t.Error("there is no time to clean up")
		}
		time.Sleep(time.Millisecond)
		if synctest.Wait(); !over.Load() {
			t.Error("cleaning up has no end")
		}
	})
}
