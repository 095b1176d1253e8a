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
	deliverByAWS        = "aws"
)

// External are the inputs of builds that are made on this machine.
type External struct {
	External bool   `env:"external" envDefault:"false" usage:"build on this machine and send the Rack the images, in place of the source"`
	Delivery string `env:"delivery" accept:"repository,import,aws" usage:"how the images of an external build get to the Rack: pushed to the repository that it names, in the archive of builds import, or with credentials of AWS to what a v2 rack has there (default: repository on v3 racks; on others aws if the credentials lead to the rack, else import)"`
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

// keyless tells whether nothing is asked of the rack itself, so that no key to it is
// needed.
func (in *BuildInputs) keyless() bool {
	return in.External.External && in.Delivery == deliverByAWS && in.Password == "" && in.RackURL == ""
}

// buildOnsite is build for one that is made on this machine.
func (j Job) buildOnsite(ctx context.Context, in BuildInputs, app rack.App, o rack.BuildOptions) (rack.Build, error) {
	d, err := j.delivery(ctx, in, app)
	if err != nil {
		return rack.Build{}, err
	}
	w, err := j.workshop(ctx, d, in, o)
	if err != nil {
		return rack.Build{}, err
	}
	defer w.close()
	if err := w.useCaches(ctx); err != nil {
		return rack.Build{}, err
	}
	j.printf("Building on this machine; the images get to the Rack by %s (%s)", d.way, d.why)
	defer j.Report.Begin("build")()
	if d.way == deliverByImport {
		return w.buildForImport(ctx)
	}
	return w.buildForRepository(ctx)
}
