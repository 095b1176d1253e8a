package workflow

import (
	"context"

	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// ListInputs are the inputs of verbs that list the records of an app.
type ListInputs struct {
	Target
	Limit int  `env:"limit" envDefault:"10" usage:"how many at most"`
	JSON  bool `env:"json" envDefault:"false" usage:"print JSON"`
}

// ReleaseList is what is known of an app's releases.
type ReleaseList struct {
	Active   string // id of the active one, "" for none
	Releases []rack.Release
}

// Releases lists the releases of an app, the newest first.
func Releases(ctx context.Context, j Job, in ListInputs) (ReleaseList, error) {
	app, err := j.Rack.App(ctx, in.App)
	if err != nil {
		return ReleaseList{}, err
	}
	list, err := j.Rack.Releases(ctx, in.App, in.Limit)
	return ReleaseList{Active: app.Release, Releases: list}, err
}

// ReleaseInput names one release.
type ReleaseInput struct {
	Target
	Release string `env:"release,notEmpty" usage:"id of the release"`
	JSON    bool   `env:"json" envDefault:"false" usage:"print JSON"`
}

// Check finds everything that is wrong with the inputs before anything is done.
func (in *ReleaseInput) Check(lookup func(string) (string, bool)) error {
	return options.Join(in.Target.Check(lookup), checkID("release", in.Release))
}

// ReleaseInfo returns one release.
func ReleaseInfo(ctx context.Context, j Job, in ReleaseInput) (rack.Release, error) {
	return j.Rack.Release(ctx, in.App, in.Release)
}
