package workflow

import (
	"context"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// ConnectionInputs are the inputs of verbs about a whole rack.
type ConnectionInputs struct {
	Connection
	Printed
}

// Data tells whether standard output is for data alone. That of what is embedded
// is hidden by the input data.
func (in ConnectionInputs) Data() bool { return in.JSON }

// Apps lists the apps of the rack.
func Apps(ctx context.Context, j Job, _ ConnectionInputs) ([]rack.App, error) {
	return j.Rack.Apps(ctx)
}

// RacksInputs are the inputs of racks.
type RacksInputs struct {
	Connection
	Printed
}

// Data tells whether standard output is for data alone, as with
// [ConnectionInputs].
func (in RacksInputs) Data() bool { return in.JSON }

// Check finds everything that is wrong with the inputs before anything is done.
// A console lists its racks without one being named.
func (in *RacksInputs) Check(func(string) (string, bool)) error {
	return wrongInputs(append(in.lacks(false), in.wrong()...))
}

// Racks lists the racks that a console knows and the key may see.
func Racks(ctx context.Context, j Job, _ RacksInputs) ([]rack.RackItem, error) {
	return j.Rack.Racks(ctx)
}

// AppInput names an app.
type AppInput struct{ Target }

// CreateApp makes an app. On some racks it is still being created when the
// call returns.
func CreateApp(ctx context.Context, j Job, in AppInput) (rack.App, error) {
	a, err := j.Rack.CreateApp(ctx, in.App)
	if err != nil {
		return a, err
	}
	j.printf("Created %s", a.Name)
	return a, nil
}
