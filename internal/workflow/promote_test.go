package workflow_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// lose loses the answer to a promote that was done, as a balancer does that has
// waited too long.
func lose(res *http.Response) {
	if strings.HasSuffix(res.Request.URL.Path, "/promote") {
		refuse(res, http.StatusGatewayTimeout, "<html>504</html>")
	}
}

// promotion is a job on a rack that has one release of one app.
func promotion(t *testing.T) workflow.Job {
	t.Helper()
	release := rack.Release{ID: "RABCDEFGHIJ", App: "shop", Manifest: "services:\n  web:\n    image: x\n", Created: time.Now()}
	return shop(t, running, lose, release)
}

// TestPromoteWhoseAnswerIsLost: the verdict comes from the release ids, so that
// a balancer cannot turn a release that is live into a failure.
func TestPromoteWhoseAnswerIsLost(t *testing.T) {
	job := promotion(t)
	in := workflow.PromoteInputs{Target: workflow.Target{App: "shop"}, Release: "RABCDEFGHIJ", PromoteOptions: workflow.PromoteOptions{Wait: true}, Limits: workflow.Limits{Timeout: time.Minute}}
	outcome, err := workflow.Promote(t.Context(), job, in)
	if err != nil || outcome.Verdict != rack.Live {
		t.Errorf("got %v, %v", outcome, err)
	}
}

// TestPromoteWhoseAnswerIsLostAndNobodyWaits: the app is looked at all the same,
// and shows that the promote has begun.
func TestPromoteWhoseAnswerIsLostAndNobodyWaits(t *testing.T) {
	job := promotion(t)
	in := workflow.PromoteInputs{Target: workflow.Target{App: "shop"}, Release: "RABCDEFGHIJ", Limits: workflow.Limits{Timeout: time.Minute}}
	if _, err := workflow.Promote(t.Context(), job, in); err != nil {
		t.Errorf("a promote that has begun counted as a failure: %v", err)
	}
}
