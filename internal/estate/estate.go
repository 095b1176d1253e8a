// Package estate is what a v2 Rack has on Amazon Web Services: it is found by the
// stacks of CloudFormation, and builds that are made elsewhere are recorded there as
// the Rack records its own, without its API.
package estate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd/dynamodb"
	"github.com/convox-ci/convox-ci/internal/rackd/kms"
	"github.com/convox-ci/convox-ci/internal/rackd/s3"
)

// Estate is that of one app of one Rack.
type Estate struct {
	// Repository is the name of the app's repository on ECR, in the account and the
	// region of the credentials.
	Repository string
	// Cached says that the Rack has a persistent build cache.
	Cached bool

	config  aws.Config
	rack    string
	app     string
	tables  *dynamodb.Guest
	objects *s3.Store // of the app
	vault   *s3.Store // of the Rack itself
	key     *kms.Key
	topic   string // "" if the Rack tells nobody anything
}

// Open finds an app of a Rack by its stacks and makes sure that environments can be
// sealed and read. It writes nothing.
func Open(ctx context.Context, config aws.Config, rackName, app string) (*Estate, error) {
	found, err := find(ctx, config, rackName, app)
	if err != nil {
		return nil, err
	}
	e := &Estate{Repository: found.repository, Cached: found.cached, config: config, rack: rackName, app: app, topic: found.topic,
		tables: dynamodb.Visit(config, dynamodb.Tables{Builds: found.builds, Releases: found.releases})}
	if e.objects, err = s3.New(s3.Options{Config: config, Bucket: found.bucket, App: app}); err != nil {
		return nil, err
	}
	if e.vault, err = s3.New(s3.Options{Config: config, Bucket: found.rackBucket, App: rackName}); err != nil {
		return nil, err
	}
	e.key, err = kms.Open(ctx, config, found.key)
	return e, err
}

// Holds tells whether a release of the app is among those of the estate: a Rack of
// the same name may be in another account.
func (e *Estate) Holds(ctx context.Context, release string) (bool, error) {
	_, err := e.tables.Release(ctx, e.app, release)
	return err == nil, unlessMissing(err)
}

// StartExternal records a build that runs, made elsewhere. Its repository has no host.
// A build that was recorded and not answered comes with the error.
func (e *Estate) StartExternal(ctx context.Context, app string, o rack.BuildOptions) (rack.Build, error) {
	b := rack.Build{App: app, Description: o.Description, GitSHA: o.GitSHA, Status: rack.BuildRunning, Started: time.Now().UTC(),
		WildcardDomain: o.WildcardDomain != nil && *o.WildcardDomain}
	if err := e.rehearse(ctx, b); err != nil {
		return rack.Build{}, err
	}
	for range idTries {
		b.ID = rack.NewID("B")
		err := e.tables.AddBuild(ctx, b)
		switch {
		case err == nil:
			return b, nil
		case ctx.Err() != nil || !isTaken(err):
			return e.regret(ctx, b), err
		}
	}
	return rack.Build{}, fmt.Errorf("DynamoDB has not taken a build under any of %d ids, since there was one each time", idTries)
}

// idTries is how many ids a build is tried to be recorded under; that a first one is
// taken hardly ever happens.
const idTries = 5

// noBuild is the id of no build.
const noBuild = "B"

// rehearse makes sure that builds may be read and changed, by changing one that is not
// there: what may be begun and not ended would be left running.
func (e *Estate) rehearse(ctx context.Context, b rack.Build) error {
	b.ID = noBuild
	err := e.tables.ReplaceBuild(ctx, rack.Build{ID: noBuild}, b)
	if errors.Is(err, rack.ErrNotFound) {
		return nil
	}
	return err
}

// regretLimit bounds the look for a build that nobody waits for any more.
const regretLimit = 2 * time.Second

// regret is a build that may have been recorded, none if it was not.
func (e *Estate) regret(ctx context.Context, b rack.Build) rack.Build {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), regretLimit)
	defer done()
	stored, err := e.tables.Build(ctx, b.App, b.ID)
	if err != nil {
		return rack.Build{}
	}
	return stored
}

// Build returns a build as it is now, or an error that is [rack.ErrNotFound].
func (e *Estate) Build(ctx context.Context, app, id string) (rack.Build, error) {
	return e.tables.Build(ctx, app, id)
}

// UpdateBuild changes a build that has not ended; else the error is
// [rack.ErrConflict].
func (e *Estate) UpdateBuild(ctx context.Context, app, id string, ch rack.BuildChanges) (rack.Build, error) {
	b, err := e.tables.Build(ctx, app, id)
	if err != nil {
		return b, err
	}
	if b.Final() {
		return b, fmt.Errorf("build %s is %s: %w", id, b.Status, rack.ErrConflict)
	}
	was := b
	set := func(field *string, value string) {
		if value != "" {
			*field = value
		}
	}
	set(&b.Entrypoint, ch.Entrypoint)
	set(&b.Logs, ch.Logs)
	set(&b.Manifest, ch.Manifest)
	set(&b.Release, ch.Release)
	set(&b.Status, ch.Status)
	if !ch.Ended.IsZero() {
		b.Ended = ch.Ended.UTC()
	}
	switch err := e.tables.ReplaceBuild(ctx, was, b); {
	case errors.Is(err, rack.ErrConflict):
		return b, fmt.Errorf("build %s was ended by someone else meanwhile, or is being changed by another run: %w", id, rack.ErrConflict)
	case errors.Is(err, rack.ErrNotFound):
		return b, fmt.Errorf("build %s was removed by someone else: %w", id, rack.ErrConflict)
	default:
		return b, err
	}
}
