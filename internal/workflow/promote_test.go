package workflow_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/rackd/disk"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// losing is a way to the rack that does what is asked and then loses the answer
// to a promote, as a balancer does that has waited too long.
type losing struct{ http.RoundTripper }

func (l losing) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := l.RoundTripper.RoundTrip(r)
	if err == nil && strings.HasSuffix(r.URL.Path, "/promote") {
		res.Body.Close()
		res.StatusCode, res.Body = http.StatusGatewayTimeout, io.NopCloser(strings.NewReader("<html>504</html>"))
	}
	return res, err
}

// promotion is a job on a rack that has one release of one app.
func promotion(t *testing.T) (workflow.Job, *ci.Console, *strings.Builder) {
	t.Helper()
	store, err := disk.Open(t.TempDir(), "the test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	app := rack.App{Name: "shop", Generation: "2", Status: rack.AppRunning}
	if err := store.SwapApp(t.Context(), rack.App{}, app); err != nil {
		t.Fatal(err)
	}
	release := rack.Release{ID: "RABCDEFGHIJ", App: "shop", Manifest: "services:\n  web:\n    image: x\n", Created: time.Now()}
	if err := store.AddRelease(t.Context(), release); err != nil {
		t.Fatal(err)
	}
	server, err := rackd.New(t.Context(), rackd.Config{Name: "test", Spool: t.TempDir(),
		Stores: rackd.Stores{Apps: store, Builds: store, Releases: store, Objects: store}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	front := httptest.NewServer(server.Handler())
	t.Cleanup(front.Close)
	endpoint, err := rack.Direct(front.URL)
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	console := ci.Open(ci.Run{System: ci.Plain}, nil, &said)
	return workflow.Job{Rack: rack.New(endpoint, losing{http.DefaultTransport}, func(line string) { fmt.Fprintln(console, line) }), Log: console, Outputs: console}, console, &said
}

// TestPromoteWhoseAnswerIsLost: the verdict comes from the release ids, so that
// a balancer cannot turn a release that is live into a failure.
func TestPromoteWhoseAnswerIsLost(t *testing.T) {
	job, console, said := promotion(t)
	in := workflow.PromoteInputs{Target: workflow.Target{App: "shop"}, Release: "RABCDEFGHIJ", PromoteOptions: workflow.PromoteOptions{Wait: true}, Limits: workflow.Limits{Timeout: time.Minute}}
	outcome, err := workflow.Promote(t.Context(), job, in)
	if err != nil || outcome.Verdict != rack.Live {
		t.Errorf("got %v, %v", outcome, err)
	}
	console.Close()
	if !strings.Contains(said.String(), "asking the rack what became of it") {
		t.Errorf("nobody was told of the lost answer:\n%s", said)
	}
}

// TestPromoteWhoseAnswerIsLostAndNobodyWaits: the app is looked at all the same,
// and shows that the promote has begun.
func TestPromoteWhoseAnswerIsLostAndNobodyWaits(t *testing.T) {
	job, _, _ := promotion(t)
	in := workflow.PromoteInputs{Target: workflow.Target{App: "shop"}, Release: "RABCDEFGHIJ", Limits: workflow.Limits{Timeout: time.Minute}}
	if _, err := workflow.Promote(t.Context(), job, in); err != nil {
		t.Errorf("a promote that has begun counted as a failure: %v", err)
	}
}
