package workflow

import (
	"context"
	"io"

	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// CopyInputs are the inputs of builds copy. What is not said of the other app is
// as with the first.
type CopyInputs struct {
	BuildInput
	ToApp      string         `env:"to-app" usage:"name of the app to copy to (default: the same)"`
	ToRack     string         `env:"to-rack" usage:"name of the rack to copy to (default: the same)"`
	ToPassword options.Secret `env:"to-password" usage:"deploy key for the rack to copy to (default: the same)"`
	ToHost     string         `env:"to-host" usage:"host of the console of the rack to copy to (default: the same)"`
	ToRackURL  options.Secret `env:"to-rack-url" usage:"URL of a rack without a console to copy to"`
	Limits
}

// Check finds everything that is wrong with the inputs before anything is done.
func (in *CopyInputs) Check(lookup func(string) (string, bool)) error {
	found := []error{in.BuildInput.Check(lookup), wrongInputs(wrongApp("to-app", in.ToApp))}
	if in.ToApp == "" && in.ToRack == "" && in.ToRackURL == "" {
		found = append(found, refuse("to-app", "", "is required", "the app to copy to, or another rack with to-rack or to-rack-url"))
	}
	to := in.To()
	switch console := in.ToHost != "" || in.ToPassword != ""; {
	case in.ToRackURL != "" && console:
		found = append(found, refuse("to-rack-url", "", "contradicts to-host and to-password: it names a host and a password itself", "one of the two"))
	case console && (to.Rack == LocalRack || to.RackURL != ""):
		found = append(found, refuse("to-rack", in.ToRack, "must name a rack of the console that to-host and to-password are for", "the name of a rack"))
	case in.ToRack != "" && to.Rack != LocalRack && to.RackURL == "" && to.Password == "":
		found = append(found, refuse("to-password", "", "is required", "a deploy key, or to-rack-url in its place"))
	}
	if in.ToRack == LocalRack && in.Rack != LocalRack || in.Rack == LocalRack && in.ToRack != "" && in.ToRack != LocalRack {
		found = append(found, refuse("to-rack", in.ToRack, "is a rack in this process only while rack is local", "the URL of a rack that runs, with to-rack-url"))
	}
	return options.Join(found...)
}

// To is where to copy to.
func (in CopyInputs) To() Target {
	to := in.Target
	if in.ToApp != "" {
		to.App = in.ToApp
	}
	if in.ToRackURL != "" {
		to.Rack, to.RackURL, to.Host, to.Password = in.ToRack, in.ToRackURL, "", ""
		return to
	}
	if in.ToRack != "" {
		to.Rack, to.RackURL = in.ToRack, ""
	}
	if in.ToHost != "" {
		to.Host = in.ToHost
	}
	if in.ToPassword != "" {
		to.Password = in.ToPassword
	}
	return to
}

// SameRack tells whether the build stays on its rack.
func (in CopyInputs) SameRack() bool { return in.To().Connection == in.Connection }

// CopyBuild makes a build of an app into one of another app, also on another
// rack. The archive passes through this process as a stream.
func CopyBuild(ctx context.Context, j Job, to Job, in CopyInputs) (rack.Build, error) {
	ctx, done := limited(ctx, "timeout", in.Timeout)
	defer done()
	app := in.To().App
	if _, err := to.Rack.App(ctx, app); err != nil {
		return rack.Build{}, err
	}
	to.Output("app", app) // where the build is from here on
	if rack := in.To().Rack; rack != "" {
		to.Output("rack", rack)
	}
	j.printf("Copying %s from %s to %s", in.Build, in.App, app)
	return to.imported(ctx, app, func(ctx context.Context) (io.ReadCloser, error) {
		return j.Rack.ExportBuild(ctx, in.App, in.Build)
	}, true)
}
