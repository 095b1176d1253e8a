package workflow

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// Printed is for verbs that can print their result for programs.
type Printed struct {
	JSON bool `env:"json" envDefault:"false" usage:"print JSON, and nothing else on standard output"`
}

// Data tells whether standard output is for data alone.
func (p Printed) Data() bool { return p.JSON }

// ListInputs are the inputs of verbs that list the records of an app.
type ListInputs struct {
	Target
	Limit int `env:"limit" envDefault:"10" usage:"how many at most"`
	Printed
}

// ReleaseShown is what is shown of a release: not the values of its variables,
// which are secrets.
type ReleaseShown struct {
	ID          string    `json:"id"`
	Active      bool      `json:"active"`
	Build       string    `json:"build"`
	Description string    `json:"description"`
	Created     time.Time `json:"created"`
	Variables   []string  `json:"variables,omitempty"` // names, sorted; lists leave them out
}

func showRelease(r rack.Release, active string) ReleaseShown {
	return ReleaseShown{ID: r.ID, Active: r.ID == active, Build: r.Build, Description: r.Description, Created: r.Created}
}

// Releases lists the releases of an app, the newest first.
func Releases(ctx context.Context, j Job, in ListInputs) ([]ReleaseShown, error) {
	app, err := j.Rack.App(ctx, in.App)
	if err != nil {
		return nil, err
	}
	list, err := j.Rack.Releases(ctx, in.App, in.Limit)
	shown := []ReleaseShown{}
	for _, r := range list {
		shown = append(shown, showRelease(r, app.Release))
	}
	return shown, err
}

// ReleaseInput names one release.
type ReleaseInput struct {
	Target
	Release string `env:"release,notEmpty" usage:"id of the release"`
}

// Check finds everything that is wrong with the inputs before anything is done.
func (in *ReleaseInput) Check(lookup func(string) (string, bool)) error {
	return options.Join(in.Target.Check(lookup), checkID("release", in.Release))
}

// ReleaseInfoInputs are the inputs of releases info.
type ReleaseInfoInputs struct {
	ReleaseInput
	Printed
}

// ReleaseInfo returns one release.
func ReleaseInfo(ctx context.Context, j Job, in ReleaseInfoInputs) (ReleaseShown, error) {
	app, err := j.Rack.App(ctx, in.App)
	if err != nil {
		return ReleaseShown{}, err
	}
	r, err := j.Rack.Release(ctx, in.App, in.Release)
	shown := showRelease(r, app.Release)
	shown.Variables = slices.Sorted(maps.Keys(r.Variables()))
	return shown, err
}

// ReleaseManifestInputs are the inputs of releases manifest.
type ReleaseManifestInputs struct{ ReleaseInput }

// Data tells that standard output is for the manifest alone.
func (ReleaseManifestInputs) Data() bool { return true }

// ReleaseManifest returns the manifest of a release, as its build had it.
func ReleaseManifest(ctx context.Context, j Job, in ReleaseManifestInputs) (string, error) {
	r, err := j.Rack.Release(ctx, in.App, in.Release)
	return r.Manifest, err
}
