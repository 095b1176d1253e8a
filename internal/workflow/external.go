package workflow

import (
	"context"
	"io"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// Ways of the images of an external build to the Rack.
const (
	deliverByRepository = "repository"
	deliverByImport     = "import"
)

// External are the inputs of builds that are made on this machine.
type External struct {
	External bool   `env:"external" envDefault:"false" usage:"build on this machine and send the Rack the images, in place of the source"`
	Delivery string `env:"delivery" accept:"repository,import" usage:"how the images of an external build get to the Rack: pushed to the repository that it names, or in the archive of builds import (default: repository on v3 racks, import on others)"`
	Caches
	AWSRole
}

// Engine is what builds images on this machine. It is used for one build at a
// time.
type Engine interface {
	image.Builder
	image.Wrapper
	// KeepsCache tells why the builder can neither read nor write caches of a type;
	// nil if it can, or if there is no builder, which the build says.
	KeepsCache(ctx context.Context, kind string) error
	// Registry reaches registries with the credentials that this machine has, and
	// with those of login for its host.
	Registry(login Credentials) bake.Registry
	// Save gives images in OCI image layouts, of one image each, for an archive as
	// "docker save" writes it: layouts says by the name in the archive in which
	// directory. size is the length of the archive in bytes.
	Save(ctx context.Context, layouts map[string]string) (size int64, write func(io.Writer) error, err error)
}

// Credentials are what is needed for one registry. The zero value is of none.
type Credentials struct {
	Host     string
	User     string
	Password options.Secret
}

// Onsite tells whether a build is made on this machine.
func (e External) Onsite() bool { return e.External }

// check finds what is wrong with the inputs.
func (e External) check(lookup func(string) (string, bool)) error {
	wrong := e.AWSRole.Wrong()
	if e.Delivery != "" && !e.External {
		wrong = append([]options.Problem{{Input: "delivery", Value: e.Delivery, Message: "is of no use without external", Accepted: []string{"external: true beside it"}}}, wrong...)
	}
	return options.Join(wrongInputs(wrong), e.Caches.check(e.External, lookup))
}

// way is how the images get to a rack that has the app.
func (e External) way(system rack.System, app rack.App) (string, error) {
	switch {
	case e.Delivery == "" && app.Generation == "3":
		return deliverByRepository, nil
	case e.Delivery == "":
		return deliverByImport, nil
	case e.Delivery == deliverByRepository && !system.TakesExternal():
		return "", refuse("delivery", e.Delivery, "is not for v2 racks, which name no repository for builds that are made elsewhere", deliverByImport)
	}
	return e.Delivery, nil
}

// buildOnsite is build for one that is made on this machine.
func (j Job) buildOnsite(ctx context.Context, in BuildInputs, app rack.App, o rack.BuildOptions) (rack.Build, error) {
	system, err := j.Rack.System(ctx)
	if err != nil {
		return rack.Build{}, err
	}
	way, err := in.way(system, app)
	if err != nil {
		return rack.Build{}, err
	}
	w, err := j.workshop(ctx, in, o)
	if err != nil {
		return rack.Build{}, err
	}
	defer w.close()
	w.v3 = app.Generation == "3"
	if err := w.useCaches(ctx); err != nil {
		return rack.Build{}, err
	}
	j.printf("Building on this machine; the images get to the Rack by %s", way)
	defer j.Report.Begin("build")()
	if way == deliverByRepository {
		return w.buildForRepository(ctx)
	}
	return w.buildForImport(ctx)
}
