package workflow_test

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

var older = rack.Release{ID: "ROLDERAAAAA", App: "shop", Manifest: imageManifest, Env: "KEPT=1", Created: at(1)}
var newer = rack.Release{ID: "RNEWERAAAAA", App: "shop", Manifest: imageManifest, Env: "KEPT=2\nGONE=a-secret-value", Created: at(2)}

func promote(id string, o workflow.PromoteOptions) workflow.PromoteInputs {
	return workflow.PromoteInputs{Target: target, Release: id, PromoteOptions: o, Limits: minute}
}

// TestPromoteOfAnOlderRelease: it does not take the place of the newer one, and
// of what it lacks only names are told.
func TestPromoteOfAnOlderRelease(t *testing.T) {
	j, s := heard(shop(t, active(newer.ID), nil, older, newer))
	o, err := workflow.Promote(t.Context(), j, promote(older.ID, workflow.PromoteOptions{Wait: true}))
	var notLive *workflow.NotLiveError
	if !errors.As(err, &notLive) || notLive.Begun || o.Verdict != rack.Superseded || o.Active != newer.ID {
		t.Errorf("%+v, %v", o, err)
	}
	s.has(t, map[string]string{"status": "superseded", "promoted": "false", "previous-release": newer.ID, "reason": notLive.Reason})
	if text := s.String(); !strings.Contains(text, "lacks variables that the active release RNEWERAAAAA has: GONE\n") || strings.Contains(text, "secret") || strings.Contains(text, "Promoting") {
		t.Errorf("said\n%s", text)
	}
}

// TestPromoteThatCannotBeCompared: a key that may promote need not see releases,
// and one that was deleted is no hindrance.
func TestPromoteThatCannotBeCompared(t *testing.T) {
	for status, word := range map[int]string{http.StatusForbidden: "could not be compared", http.StatusNotFound: ""} {
		j, s := heard(past(shop(t, active(older.ID), nil, older, newer), func(r *http.Request) (int, string) {
			if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/releases/"+older.ID) {
				return status, "not for you"
			}
			return 0, ""
		}))
		o, err := workflow.Promote(t.Context(), j, promote(newer.ID, workflow.PromoteOptions{Wait: true}))
		if err != nil || o.Verdict != rack.Live || word != "" && !strings.Contains(s.String(), word) {
			t.Errorf("%d: %+v, %v\n%s", status, o, err, s)
		}
		s.has(t, map[string]string{"status": "complete", "promoted": "true"})
	}
}

// TestPromoteWhenSomeoneElseIsFaster: what is active then is looked at again, so
// that ours does not take the place of a newer one.
func TestPromoteWhenSomeoneElseIsFaster(t *testing.T) {
	first := rack.Release{ID: "RFIRSTAAAAA", App: "shop", Manifest: imageManifest, Created: at(0)}
	var j workflow.Job
	var tries atomic.Int32
	j = shop(t, active(first.ID), nil, first, older, newer)
	theirs := j.Rack
	j, s := heard(past(j, func(r *http.Request) (int, string) {
		if r.Method != http.MethodPost || tries.Add(1) > 1 {
			return 0, ""
		}
		if err := theirs.Promote(r.Context(), "shop", newer.ID, false); err != nil {
			t.Error(err)
		}
		return http.StatusForbidden, "app is currently updating"
	}))
	o, err := workflow.Promote(t.Context(), j, promote(older.ID, workflow.PromoteOptions{Wait: true}))
	if o.Verdict != rack.Superseded || err == nil || tries.Load() != 1 {
		t.Errorf("%d tries, %+v, %v", tries.Load(), o, err)
	}
	s.has(t, map[string]string{"status": "superseded", "previous-release": newer.ID, "promoted": "false"})
}

// TestPromoteThatIsForbidden: where nobody was faster the refusal is the answer.
func TestPromoteThatIsForbidden(t *testing.T) {
	j, s := heard(past(shop(t, active(older.ID), nil, older, newer), func(r *http.Request) (int, string) {
		if r.Method == http.MethodPost {
			return http.StatusForbidden, "not for this key"
		}
		return 0, ""
	}))
	_, err := workflow.Promote(t.Context(), j, promote(newer.ID, workflow.PromoteOptions{Wait: true}))
	if !errors.Is(err, rack.ErrForbidden) || !strings.Contains(err.Error(), "promote "+newer.ID) {
		t.Error(err)
	}
	s.has(t, map[string]string{"status": "failed", "promoted": "false"})
}

// busy answers for an app that is being updated.
func busy(release string) string {
	return `{"name":"shop","generation":"2","status":"updating","release":"` + release + `"}`
}

// isApp tells a look at the app.
func isApp(r *http.Request) bool { return r.Method == http.MethodGet && r.URL.Path == "/apps/shop" }

// updating answers for an app whose update has begun, or begins, and does not
// end. Whether it can be cancelled is for the test to say.
func updating(begun, cancelled *atomic.Bool, cancel func(*http.Request) (int, string)) func(*http.Request) (int, string) {
	return func(r *http.Request) (int, string) {
		switch {
		case isApp(r) && begun.Load():
			return 200, busy(older.ID)
		case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/promote"):
			begun.Store(true)
			return 200, "{}"
		case strings.HasSuffix(r.URL.Path, "/cancel"):
			cancelled.Store(true)
			return cancel(r)
		}
		return 0, ""
	}
}

// TestPromoteRunsOutOfTime: the limit is named, whether it is not our turn or the
// rack takes long, and the rack goes back only where that is wanted.
func TestPromoteRunsOutOfTime(t *testing.T) {
	done := func(*http.Request) (int, string) { return 200, "{}" }
	for _, test := range []struct {
		busy, cancel bool // at first; wanted
		begun        bool // what is left
		limit        time.Duration
		input        string
	}{
		{false, false, true, 10 * time.Minute, "promote-timeout after 10m0s"}, {false, true, false, 10 * time.Minute, "promote-timeout after 10m0s"},
		{true, false, false, 10 * time.Minute, "promote-timeout after 10m0s"}, {true, true, false, 0, "timeout after 1h0m0s"}, {false, false, true, 0, "timeout after 1h0m0s"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var begun, cancelled atomic.Bool
			begun.Store(test.busy)
			j, s := bubbled(t, active(older.ID), updating(&begun, &cancelled, done), older, newer)
			in := promote(newer.ID, workflow.PromoteOptions{Wait: true, CancelPromote: test.cancel, PromoteTimeout: test.limit})
			in.Timeout = time.Hour
			_, err := workflow.Promote(t.Context(), j, in)
			var notLive *workflow.NotLiveError
			if !errors.As(err, new(*workflow.TimeoutError)) || !strings.HasSuffix(err.Error(), ": "+test.input) || !errors.As(err, &notLive) || notLive.Begun != test.begun {
				t.Errorf("%+v: %v", test, err)
			}
			if cancelled.Load() != (test.cancel && !test.busy) {
				t.Errorf("%+v: cancelled is %v", test, cancelled.Load())
			}
			s.has(t, map[string]string{"status": "timeout", "promoted": "false"})
		})
	}
}

// TestPromoteThatCannotBeCancelled: then it may go on, which is said.
func TestPromoteThatCannotBeCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var begun, cancelled atomic.Bool
		j, s := bubbled(t, active(older.ID), updating(&begun, &cancelled, func(*http.Request) (int, string) { return 0, "" }), older, newer)
		_, err := workflow.Promote(t.Context(), j, promote(newer.ID, workflow.PromoteOptions{Wait: true, CancelPromote: true}))
		var notLive *workflow.NotLiveError
		if !errors.As(err, &notLive) || !notLive.Begun || !strings.Contains(s.String(), "could not be cancelled and may go on: app is not updating") {
			t.Errorf("%v\n%s", err, s)
		}
	})
}

// TestPromoteWaitsForItsTurn: what is waited for is said once, and then it is
// promoted.
func TestPromoteWaitsForItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		j, s := bubbled(t, active(older.ID), func(r *http.Request) (int, string) {
			if isApp(r) && time.Since(begun) < 10*time.Minute {
				return 200, busy(older.ID)
			}
			return 0, ""
		}, older, newer)
		in := promote(newer.ID, workflow.PromoteOptions{Wait: true})
		in.Timeout = time.Hour
		o, err := workflow.Promote(t.Context(), j, in)
		if err != nil || o.Verdict != rack.Live || time.Since(begun) < 10*time.Minute {
			t.Errorf("%+v, %v", o, err)
		}
		if n := strings.Count(s.String(), "Waiting: app shop is updating by someone else; its active release is ROLDERAAAAA\n"); n != 1 {
			t.Errorf("said %d times\n%s", n, s)
		}
		s.has(t, map[string]string{"status": "complete", "previous-release": older.ID})
	})
}

// TestPromoteOfTheActiveRelease: there is nothing to compare it with.
func TestPromoteOfTheActiveRelease(t *testing.T) {
	for _, app := range []rack.App{running, active(newer.ID)} {
		j, s := heard(shop(t, app, nil, newer))
		if _, err := workflow.Promote(t.Context(), j, promote(newer.ID, workflow.PromoteOptions{})); err != nil {
			t.Error(err)
		}
		s.has(t, map[string]string{"status": "complete", "promoted": "false", "release": newer.ID, "previous-release": app.Release})
	}
}
