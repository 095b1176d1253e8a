package workflow

import (
	"context"
	"errors"
	"time"

	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// LoginInputs are the inputs of login. A console is asked, and no rack.
type LoginInputs struct {
	Password   options.Secret `env:"password,notEmpty" usage:"deploy key"`
	Host       string         `env:"host" usage:"host of the console (default: console.convox.com)"`
	CAFile     options.Path   `env:"ca-file" usage:"PEM file of certificate authorities to trust besides the system's"`
	SkipVerify bool           `env:"insecure-skip-verify" envDefault:"false" usage:"accept any certificate"`
}

// Where says where something is done.
func (in LoginInputs) Where() Target {
	return Target{Connection: Connection{Password: in.Password, Host: in.Host, CAFile: in.CAFile, SkipVerify: in.SkipVerify}}
}

// loginLimit is how long a console is asked about the key. Whether it can be
// reached is for the steps that need it to say; they have more patience.
const loginLimit = 20 * time.Second

// Login gives the key to the later steps of the job, and the host if there is one.
// A key that the console does not accept is an error; that it could not be asked is
// none.
func Login(ctx context.Context, j Job, in LoginInputs) error {
	asking, done := context.WithTimeout(ctx, loginLimit)
	defer done()
	where := j.Rack.Endpoint().Host()
	var access *rack.AccessError
	switch err := j.Rack.Admits(asking); {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &access) && access.Trouble == rack.TroubleKey:
		return err
	case err != nil:
		j.Log.Warn("whether " + where + " accepts the key is not known: " + err.Error())
	default:
		j.printf("%s accepts the key", where)
	}
	err := j.Export("CONVOX_PASSWORD", in.Password.Reveal())
	if err == nil && in.Host != "" {
		err = j.Export("CONVOX_HOST", in.Host)
	}
	if errors.Is(err, ci.ErrNoEnvironment) {
		return errors.New("nothing to log in for: " + err.Error() + "; set CONVOX_PASSWORD where the job is described")
	}
	return err
}
