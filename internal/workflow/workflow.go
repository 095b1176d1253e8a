// Package workflow is what each verb does, one file a verb: its inputs, its
// steps and its result.
package workflow

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/commit"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/summary"
)

// Job is what the verbs work with.
type Job struct {
	Rack    *rack.Client // nil for a check without one, and for a build that is recorded without it
	Log     ci.Log
	Outputs Outputs
	Commit  func(ctx context.Context, dir string) commit.Commit // of a directory
	// Input is what is piped into this process; nil where nothing is.
	Input io.Reader
	// Report collects what a summary tells; nil where nobody reads one.
	Report *summary.Report
	// LastWord is when Log last printed something; nil where nobody keeps count.
	LastWord func() time.Time
	// Engine finds what builds images on this machine; nil where nothing is built.
	Engine func(context.Context) (Engine, error)
	// Estate finds what a v2 rack has on AWS; nil where nothing is built.
	Estate func(context.Context, EstateOrder) (Estate, error)
	// Remember keeps a value for the last stage of this step, see [EndLeft]; Export
	// gives one to later steps, as a variable of their environment. Both are as for
	// [ci.Console]; nil where nobody does.
	Remember, Export func(name, value string) error
}

// Outputs takes the values that later steps may use. Each is written the moment
// it is known, so that it is there when a step fails or is cancelled later.
type Outputs interface {
	Output(name, value string) error
}

// Output writes one value. A value that cannot be passed on does not undo what
// the rack has done, so it is told and the work goes on.
func (j Job) Output(name, value string) {
	j.Report.Note(name, value)
	if err := j.Outputs.Output(name, value); err != nil {
		j.Log.Warn(fmt.Sprintf("output %s: %v", name, err))
	}
}

// remember keeps the id of what this run has begun and must not leave behind if it
// is killed; "" says that there is nothing any more.
func (j Job) remember(what, id string) {
	if j.Remember == nil {
		return
	}
	if err := j.Remember(what, id); err != nil {
		j.Log.Warn(fmt.Sprintf("%s %s would go on if this step were killed: %v", what, id, err))
	}
}

// finish writes how a verb has ended that promotes nothing.
func (j Job) finish(ctx context.Context, err error) {
	if err == nil {
		j.Output("status", statusComplete)
		return
	}
	j.Output("status", statusOf(ctx, err))
	j.Output("reason", reasonOf(err))
}

// printf writes a line of ours.
func (j Job) printf(format string, args ...any) {
	fmt.Fprintf(j.Log, format+"\n", args...)
}

// Values of the output status. A promote that was begun and did not make its
// release live has its verdict there; see [rack.Verdict].
const (
	statusComplete  = "complete"
	statusFailed    = "failed"
	statusTimeout   = "timeout"
	statusCancelled = "cancelled"
)
