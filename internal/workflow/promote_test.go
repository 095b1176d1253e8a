package workflow_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/convox-ci/convox-ci/internal/ci"
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
func promotion(t *testing.T) (workflow.Job, *ci.Console, *strings.Builder) {
	t.Helper()
	release := rack.Release{ID: "RABCDEFGHIJ", App: "shop", Manifest: "services:\n  web:\n    image: x\n", Created: time.Now()}
	job := shop(t, running, lose, release)
	var said strings.Builder
	console := ci.Open(ci.Run{System: ci.Plain}, nil, &said)
	job.Log, job.Outputs = console, console
	return job, console, &said
}

// TestPromoteWhoseAnswerIsLost: the verdict comes from the release ids, so that
// a balancer cannot turn a release that is live into a failure.
func TestPromoteWhoseAnswerIsLost(t *testing.T) {
	job, console, said := promotion(t)
	in := workflow.PromoteInputs{Target: workflow.Target{App: "shop"}, Release: "RABCDEFGHIJ", Wait: true, Timeout: time.Minute}
	outcome, err := workflow.Promote(t.Context(), job, in)
	if err != nil || outcome.Verdict != rack.Live {
		t.Errorf("got %v, %v", outcome, err)
	}
	console.Close()
	if !strings.Contains(said.String(), "looking at the app for what became of it") {
		t.Errorf("nobody was told of the lost answer:\n%s", said)
	}
}

// TestPromoteWhoseAnswerIsLostAndNobodyWaits cannot know, and says so.
func TestPromoteWhoseAnswerIsLostAndNobodyWaits(t *testing.T) {
	job, _, _ := promotion(t)
	in := workflow.PromoteInputs{Target: workflow.Target{App: "shop"}, Release: "RABCDEFGHIJ", Timeout: time.Minute}
	if _, err := workflow.Promote(t.Context(), job, in); err == nil {
		t.Error("a lost answer counted as a success")
	}
}
