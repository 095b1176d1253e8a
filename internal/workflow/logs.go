package workflow

import (
	"context"
	"io"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// LogsInputs are the inputs of logs.
type LogsInputs struct {
	Target
	Since  time.Duration `env:"since" envDefault:"2m" usage:"how far back to begin"`
	Follow bool          `env:"follow" envDefault:"false" usage:"go on with what is logged from now on, until timeout"`
	Filter string        `env:"filter" usage:"only lines that have this, in the words of the rack"`
	Limits
}

// Logs prints the log of an app.
func Logs(ctx context.Context, j Job, in LogsInputs) error {
	ctx, done := limited(ctx, "timeout", in.Timeout)
	defer done()
	return j.Log.Foreign(func(w io.Writer) error {
		return j.Rack.AppLog(ctx, in.App, rack.LogOptions{Follow: in.Follow, Since: in.Since, Prefix: true, Filter: in.Filter}, w)
	})
}
