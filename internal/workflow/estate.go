package workflow

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// Ledger records a build that is made on this machine: a rack by its API, or what
// is behind that.
type Ledger interface {
	StartExternal(ctx context.Context, app string, o rack.BuildOptions) (rack.Build, error)
	UpdateBuild(ctx context.Context, app, id string, ch rack.BuildChanges) (rack.Build, error)
	PutObject(ctx context.Context, app, key string, open func() (io.ReadCloser, error)) (rack.Object, error)
	MakeRelease(ctx context.Context, app string, o rack.ReleaseOptions) (rack.Release, error)
	TellBuilt(ctx context.Context, b rack.Build) error
}

// Records tell what was recorded.
type Records interface {
	Build(ctx context.Context, app, id string) (rack.Build, error)
	// NewestRelease is the one that a build gets its environment from; ok is false
	// if there is none.
	NewestRelease(ctx context.Context, app string) (r rack.Release, ok bool, err error)
	// ReleaseOf is the release that came of a build; ok is false if there is none.
	ReleaseOf(ctx context.Context, app, build string) (r rack.Release, ok bool, err error)
}

// Books are all that is known of a build that is made on this machine. A
// [rack.Client] is one.
type Books interface {
	Ledger
	Records
}

// Estate is what a v2 rack has on AWS, as far as one app is concerned. The
// repository in the builds that it starts has a host.
type Estate interface {
	Books
	// Holds tells whether a release of the app is recorded there.
	Holds(ctx context.Context, release string) (bool, error)
	// Accept has the process sign in to registries as those say that were added to the
	// rack. Before it is certain whose the estate is, they are a stranger's.
	Accept()
	// Images is the registry that the repository is in.
	Images() bake.Registry
	// Cache is the persistent build cache of the rack with what may be taken from it;
	// the zero value if the rack has none.
	Cache(ctx context.Context) (bake.Cache, error)
}

// EstateOrder says which estate is wanted.
type EstateOrder struct {
	Rack, App string // names of the rack's stack and the app
	// Asked says that somebody wants it. Else only credentials count that were put
	// somewhere on purpose, and not those that a machine at AWS has anyway.
	Asked bool
}

// delivery is how a build that is made here gets to the rack.
type delivery struct {
	way, why string
	unasked  bool          // nobody has named the way
	v3       bool          // the rack is a v3 one, which puts nothing before the entry points of images
	books    Books         // that keep the record
	images   bake.Registry // nil for the one that the build's repository names
	estate   Estate        // nil unless they get there by aws
	state    string        // name of what is remembered of it
}

// delivery decides how the images get to the rack that the app is on.
func (j Job) delivery(ctx context.Context, in BuildInputs, app rack.App) (d delivery, err error) {
	d = delivery{way: in.Delivery, why: "as delivery says", v3: app.Generation == "3", state: rememberedExternal}
	var system rack.System
	if j.Rack != nil {
		d.books = j.Rack
		if system, err = j.Rack.System(ctx); err != nil {
			return d, err
		}
	}
	switch {
	case d.v3 && in.Delivery == deliverByAWS:
		return d, refuse("delivery", in.Delivery, "is not for v3 racks, which have none of what is written there", deliverByRepository)
	case d.v3 && in.Delivery == "":
		d.way, d.why = deliverByRepository, "which v3 racks name"
	case in.Delivery == deliverByRepository:
		if !system.TakesExternal() {
			err = refuse("delivery", in.Delivery, "is not for v2 racks, which name no repository for builds that are made elsewhere", deliverByImport, deliverByAWS)
		}
		return d, err
	case in.Delivery == deliverByAWS && in.Rack == LocalRack:
		return d, refuse("delivery", in.Delivery, "is not for the rack in this process", deliverByImport, deliverByRepository)
	case in.Delivery == deliverByAWS:
		err = j.throughEstate(ctx, in, &d)
	case in.Delivery == "" && in.Rack == LocalRack:
		d.way, d.why = deliverByImport, "the rack is in this process"
	case in.Delivery == "":
		d.why, d.unasked = "credentials of AWS lead to it", true
		if failed := j.throughEstate(ctx, in, &d); failed != nil {
			if ctx.Err() != nil {
				return d, context.Cause(ctx)
			}
			d.way, d.why = deliverByImport, "not by aws: "+oneLine(failed)
		}
	}
	return d, err
}

// unaskedLimit bounds a look at AWS that nobody has asked for: an endpoint that never
// answers must not use up the time of the build.
const unaskedLimit = 15 * time.Second

// errUnasked is the error of a look that has taken longer.
var errUnasked = fmt.Errorf("AWS could not be looked at within %s", unaskedLimit)

// throughEstate has a build recorded in the estate of the rack, if that is found and
// is the rack's.
func (j Job) throughEstate(ctx context.Context, in BuildInputs, d *delivery) error {
	asked, within := in.Delivery == deliverByAWS, ctx
	if !asked {
		var done context.CancelFunc
		within, done = context.WithTimeoutCause(ctx, unaskedLimit, errUnasked)
		defer done()
	}
	e, err := j.findEstate(within, in.Target, asked)
	if err != nil && within.Err() != nil {
		return context.Cause(within)
	}
	if err != nil {
		return err
	}
	e.Accept()
	d.way, d.books, d.images, d.estate, d.state = deliverByAWS, e, e.Images(), e, rememberedEstate
	return nil
}

// findEstate finds that of the rack. Where the rack can be asked it has to know the same
// releases: the credentials may be for another account, with a rack of that name.
func (j Job) findEstate(ctx context.Context, in Target, asked bool) (Estate, error) {
	_, name, ok := strings.Cut(in.Rack, "/") // ORGANIZATION/NAME
	if !ok {
		name = in.Rack
	}
	if j.Rack == nil {
		return j.Estate(ctx, EstateOrder{Rack: name, App: in.App, Asked: asked})
	}
	system, err := j.Rack.System(ctx)
	if err != nil {
		return nil, err
	}
	e, err := j.Estate(ctx, EstateOrder{Rack: system.Name, App: in.App, Asked: asked})
	if err != nil {
		return nil, err
	}
	newest, err := j.Rack.Releases(ctx, in.App, 1)
	if err != nil {
		return nil, err
	}
	return e, sameRack(ctx, e, EstateOrder{Rack: system.Name, App: in.App, Asked: asked}, newest)
}

// sameRack is an error unless an estate has the newest release of a rack, or neither
// has one. Where nobody has asked for the estate, that is too little to know it by, and
// what a build needs first has to be readable: by import it is not needed.
func sameRack(ctx context.Context, e Estate, o EstateOrder, newest []rack.Release) error {
	const other = "the stack %s that the credentials of AWS lead to is another rack than the one that is asked: it has "
	if len(newest) > 0 {
		held, err := e.Holds(ctx, newest[0].ID)
		if err == nil && !held {
			err = fmt.Errorf(other+"no release %s of %s", o.Rack, newest[0].ID, o.App)
		}
		if err != nil || o.Asked {
			return err
		}
	}
	r, ok, err := e.NewestRelease(ctx, o.App)
	switch {
	case err != nil || len(newest) > 0:
		return err
	case ok:
		return fmt.Errorf(other+"the release %s of %s, of which the rack that is asked has none", o.Rack, r.ID, o.App)
	case !o.Asked:
		return fmt.Errorf("%s has no release yet by which it could be told whether the stack %s is the rack that is asked", o.App, o.Rack)
	}
	return nil
}

// oneLine is an error as a part of a sentence.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
