package workflow

import (
	"context"

	"github.com/convox-ci/convox-ci/internal/rack"
)

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
