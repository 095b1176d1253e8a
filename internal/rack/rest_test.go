package rack_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
)

func TestAwaitRest(t *testing.T) {
	cause := errors.New("the job was cancelled")
	away := func(from, to time.Duration, status int, text string) func(time.Duration, http.ResponseWriter) bool {
		return func(age time.Duration, w http.ResponseWriter) bool {
			if age < from || age >= to {
				return false
			}
			answer(w, status, text)
			return true
		}
	}
	for _, test := range []struct {
		name  string
		looks []look
		fault func(time.Duration, http.ResponseWriter) bool
		limit time.Duration
		err   string // "" for none
		kind  error
		busy  string        // the statuses that were told
		took  time.Duration // at least, and less than a pause of the retries more
	}{
		{"at rest", []look{{0, up, "R"}}, nil, time.Hour, "", nil, "", 0},
		{"two updates", []look{{0, updating, "R"}, {60 * sec, rollback, "R"}, {90 * sec, updating, "R"}, {120 * sec, up, "R"}},
			nil, time.Hour, "", nil, "updating rollback updating", 120 * sec},
		{"failed", []look{{0, rack.AppFailed, "R"}}, nil, time.Hour, "app web is failed, and nothing can be promoted until that is mended", nil, "", 0},
		{"failed at last", []look{{0, updating, "R"}, {60 * sec, rack.AppFailed, "R"}}, nil, time.Hour, "app web is failed, and nothing", nil, "updating", 60 * sec},
		{"a rack away for minutes", []look{{0, updating, "R"}, {60 * sec, up, "R"}}, away(10*sec, 240*sec, 503, ""), time.Hour, "", nil, "updating", 240 * sec},
		{"a rack throttled", []look{{0, up, "R"}}, away(0, 200*sec, 500, "Rate exceeded"), time.Hour, "", nil, "", 200 * sec},
		{"no such app", nil, away(0, time.Hour, 404, "app not found: web"), time.Hour, "app not found: web", rack.ErrNotFound, "", 10 * sec},
		{"a key that is revoked", []look{{0, updating, "R"}}, away(30*sec, time.Hour, 401, "invalid authentication"), time.Hour,
			"invalid authentication", rack.ErrUnauthorized, "updating", 30 * sec},
		{"given up", []look{{0, updating, "R"}}, nil, 30 * sec, "app web is still updating: the job was cancelled", cause, "updating", 30 * sec},
		{"given up before anything was seen", nil, away(0, time.Hour, 500, "Rate exceeded"), 30 * sec, "the job was cancelled", cause, "", 30 * sec},
	} {
		bubble(t, test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(test.limit, func() { cancel(cause) })
			l := &timeline{generation: "2", looks: test.looks, fault: test.fault, begun: time.Now()}
			c, _ := client(t, l)
			var busy []string
			a, err := c.AwaitRest(ctx, "web", func(a rack.App) { busy = append(busy, a.Status) })
			if took := time.Since(l.begun); took < test.took || took > test.took+35*sec {
				t.Errorf("took %s", took)
			}
			if err == nil && (a.Status != up || a.Release != "R") || strings.Join(busy, " ") != test.busy {
				t.Errorf("got %+v, told of %q", a, busy)
			}
			if (err == nil) != (test.err == "") || err != nil && !strings.HasPrefix(err.Error(), test.err) || test.kind != nil && !errors.Is(err, test.kind) {
				t.Errorf("got %v", err)
			}
		})
	}
}
