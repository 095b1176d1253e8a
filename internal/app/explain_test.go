package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// TestExitStatus holds the statuses that CI systems are told about.
func TestExitStatus(t *testing.T) {
	// A dial that times out is a [context.DeadlineExceeded] as well.
	dial := &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}
	late := &workflow.TimeoutError{After: time.Minute}
	for name, c := range map[string]struct {
		err  error
		want int
	}{
		"input":            {fmt.Errorf("x: %w", &options.Error{}), exitInputs},
		"key":              {&rack.Error{Status: 401}, exitAuth},
		"no such app":      {&rack.Error{Status: 404}, exitInputs},
		"dial timeout":     {&rack.Error{Err: dial}, exitUnavailable},
		"header timeout":   {&rack.Error{Err: context.DeadlineExceeded}, exitUnavailable},
		"gateway timeout":  {&rack.Error{Status: 504}, exitUnavailable},
		"our limit":        {&workflow.LeftError{What: "build B", Err: late}, exitTimeout},
		"not live yet":     {&workflow.NotLiveError{Outcome: rack.Outcome{Verdict: rack.TimedOut}}, exitTimeout},
		"rolled back":      {&workflow.NotLiveError{Outcome: rack.Outcome{Verdict: rack.RolledBack}}, exitFailed},
		"build failed":     {&workflow.BuildFailedError{ID: "B"}, exitFailed},
		"interrupted":      {&workflow.LeftError{What: "build B", Err: Signal(2)}, 130},
		"terminated":       {Signal(15), 143},
		"check: source":    {&workflow.CheckError{Source: 1, Access: &rack.Error{Status: 401}}, exitInputs},
		"check: key":       {denied(rack.TroubleKey, &rack.Error{Status: 401}), exitAuth},
		"check: right":     {denied(rack.TroubleRight, &rack.Error{Status: 403}), exitAuth},
		"check: rack":      {denied(rack.TroubleRack, &rack.Error{Status: 401}), exitInputs},
		"check: which":     {denied(rack.TroubleTarget, &rack.Error{Status: 404}), exitInputs},
		"check: app":       {denied(rack.TroubleApp, &rack.Error{Status: 404}), exitInputs},
		"check: host":      {denied(rack.TroubleHost, &rack.Error{Err: &net.DNSError{}}), exitUnavailable},
		"check: clock":     {denied(rack.TroubleClock, &rack.Error{Err: &tls.CertificateVerificationError{}}), exitUnavailable},
		"check: no rack":   {denied(rack.TroubleDown, &rack.Error{Status: 404}), exitUnavailable},
		"check: our limit": {late, exitTimeout},
		"anything else":    {errors.New("x"), exitFailed},
		"command":          {fmt.Errorf("x: %w", &workflow.ExitError{Status: 42}), 42},
		"hook":             {&workflow.HookError{Err: &workflow.ExitError{Status: 42}}, exitFailed},
		"hook: limit":      {&workflow.HookError{Err: late}, exitTimeout},
		"hook: signal":     {&workflow.HookError{Err: Signal(15)}, 143},
		"process is gone":  {&rack.NoStatusError{Err: &rack.Error{Status: 404}}, exitFailed},
		"rack is gone":     {&rack.NoStatusError{Err: &rack.Error{Err: dial}}, exitUnavailable},
		"no status":        {&rack.NoStatusError{Err: errors.New("x")}, exitFailed},
		"answer is lost":   {&rack.LostError{Err: &rack.Error{Status: 504}}, exitUnavailable},
		"variables go":     {&workflow.DroppedError{}, exitInputs},
		"no such release":  {&workflow.NoReleaseError{}, exitInputs},
		"no such variable": {&workflow.NoVariableError{}, exitInputs},
		"other archive":    {&workflow.LayoutError{}, exitInputs},
		"broken archive":   {&rack.ArchiveError{}, exitFailed},
		"app has failed":   {&rack.BusyError{Status: "failed"}, exitFailed},
		"forbidden":        {&rack.Error{Status: 403}, exitFailed},
	} {
		if got, _ := explain(c.err, false); got != c.want {
			t.Errorf("%s: status %d, want %d", name, got, c.want)
		}
	}
}

// denied is a check that found something in the way to the app.
func denied(t rack.Trouble, err error) error {
	return &workflow.CheckError{Access: &rack.AccessError{Trouble: t, Err: err}}
}

// TestNoHintAtTheWrongThing: another authority does not help a clock that is wrong.
func TestNoHintAtTheWrongThing(t *testing.T) {
	cert := &rack.Error{Err: &tls.CertificateVerificationError{}}
	if _, hint := explain(denied(rack.TroubleClock, cert), false); hint != "" {
		t.Errorf("clock: hint %q", hint)
	}
	if _, hint := explain(denied(rack.TroubleCertificate, cert), false); !strings.Contains(hint, "ca-file") {
		t.Errorf("certificate: hint %q", hint)
	}
}

// TestHintOnlyWhereSomethingWasBegun: a listing that is cancelled leaves nothing
// behind at the rack.
func TestHintOnlyWhereSomethingWasBegun(t *testing.T) {
	if _, hint := explain(Signal(2), false); hint != "" {
		t.Errorf("hint %q", hint)
	}
	if _, hint := explain(&workflow.LeftError{What: "build B", Err: Signal(2)}, false); hint == "" {
		t.Error("no hint")
	}
}

// TestForkHint: from a fork a missing key is nobody's mistake.
func TestForkHint(t *testing.T) {
	const fork, branch = "CIRCLE_PR_USERNAME=them", "CIRCLE_BRANCH=main"
	noKey := []string{"builds", "--rack", "prod", "--app", "web"}
	typo := []string{"builds", "--rack", "local", "--app", "web", "--limit", "none"}
	for _, c := range []struct {
		by   string
		args []string
		want bool
	}{{fork, noKey, true}, {branch, noKey, false}, {fork, typo, false}} {
		var out strings.Builder
		status := Main(t.Context(), c.args, []string{"CIRCLECI=true", c.by}, Streams{Out: &out, Err: &out})
		if said := strings.Contains(out.String(), "started from a fork"); status != exitInputs || said != c.want {
			t.Errorf("%s %v: status %d\n%s", c.by, c.args, status, out.String())
		}
	}
}

func TestParts(t *testing.T) {
	a, b, c := errors.New("a"), errors.New("b"), errors.New("c")
	around := fmt.Errorf("around %w and %w", b, c)
	got := parts(errors.Join(a, errors.Join(b, around)))
	if want := []error{a, b, around}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
