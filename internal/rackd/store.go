package rackd

import (
	"context"
	"io"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// Stores is everything that a rack remembers; each part may be kept elsewhere.
// The methods of all stores may be called from many goroutines at once, and a
// write is durable when its call returns. The texts of records are UTF-8; a record
// comes back equal to the one that was stored.
type Stores struct {
	Apps     Apps
	Builds   Builds
	Releases Releases
	Objects  Objects

	Parameters Parameters
	Registries Registries
}

// Apps keeps app records.
type Apps interface {
	// App returns a record, or an error that is [rack.ErrNotFound].
	App(ctx context.Context, name string) (rack.App, error)
	// ListApps returns all records by name.
	ListApps(ctx context.Context) ([]rack.App, error)
	// SwapApp stores next if the record still equals old, and otherwise returns
	// an error that is [rack.ErrConflict] and stores nothing. The zero old means
	// "does not exist yet". Of many calls with one old, one succeeds.
	SwapApp(ctx context.Context, old, next rack.App) error
	// RemoveApp removes a record; there may be none.
	RemoveApp(ctx context.Context, name string) error
}

// Builds keeps build records.
type Builds interface {
	// Build returns a record of an app, or an error that is [rack.ErrNotFound].
	Build(ctx context.Context, app, id string) (rack.Build, error)
	// ListBuilds returns the records of an app, the latest started first; at
	// most limit of them, all if limit is 0.
	ListBuilds(ctx context.Context, app string, limit int) ([]rack.Build, error)
	// SwapBuild stores next under the terms of SwapApp.
	SwapBuild(ctx context.Context, old, next rack.Build) error
	// RemoveBuilds removes all records of an app.
	RemoveBuilds(ctx context.Context, app string) error
}

// Releases keeps release records, which never change while their app is there.
type Releases interface {
	// Release returns a record of an app, or an error that is [rack.ErrNotFound].
	Release(ctx context.Context, app, id string) (rack.Release, error)
	// ListReleases returns the records of an app, the latest created first; at
	// most limit of them, all if limit is 0. What was added before the call is
	// in the list.
	ListReleases(ctx context.Context, app string, limit int) ([]rack.Release, error)
	// AddRelease stores a record, or returns an error that is
	// [rack.ErrConflict] if there is one with its id.
	AddRelease(ctx context.Context, r rack.Release) error
	// RemoveReleases removes all records of an app.
	RemoveReleases(ctx context.Context, app string) error
}

// Registries keeps the credentials of other registries, by server.
type Registries interface {
	// ListRegistries returns all, by server.
	ListRegistries(ctx context.Context) ([]rack.Registry, error)
	// PutRegistry stores one in the place of what was stored for its server.
	PutRegistry(ctx context.Context, r rack.Registry) error
	// RemoveRegistry removes one, or returns an error that is [rack.ErrNotFound].
	RemoveRegistry(ctx context.Context, server string) error
}

// MaxKey is the length of the longest key of an object, in bytes: what Amazon S3
// takes, less room for a prefix
// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html).
const MaxKey = 900

// Objects keeps bytes under keys, per app. A key is any text of 1 to [MaxKey]
// bytes of UTF-8; slashes and dots in it have no meaning.
type Objects interface {
	// PutObject stores all of r in the place of what was stored before, or
	// leaves that as it is if r ends in an error, which it returns.
	PutObject(ctx context.Context, app, key string, r io.Reader) error
	// OpenObject opens what was stored, or returns an error that is
	// [rack.ErrNotFound]. What is open stays as it was when another takes its place.
	OpenObject(ctx context.Context, app, key string) (io.ReadCloser, error)
	// ListObjects returns the keys of an app that have prefix in front of a last
	// part without a slash, in their order. Very long keys may be missing.
	ListObjects(ctx context.Context, app, prefix string) ([]string, error)
	// RemoveObject removes an object, or returns an error that is
	// [rack.ErrNotFound]. What is open stays readable.
	RemoveObject(ctx context.Context, app, key string) error
	// RemoveObjects removes all objects of an app. What is open stays readable.
	RemoveObjects(ctx context.Context, app string) error
}
