package rackd

import (
	"context"
	"io"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// Stores is everything that a rack remembers. The records may be kept in one place
// and the objects in another; of the records, Builds, Releases and Trash belong
// together, since a build goes from the first to the last with its releases.
//
// The methods of all stores may be called from many goroutines at once. A write is
// durable when its call returns, and whatever is read or listed from then on shows
// it, by whichever process that shares the store. The texts of records are UTF-8,
// and those of manifests as long as [MaxManifest]; a record comes back equal to the
// one that was stored. Environments and passwords are for the store to keep secret.
// An id is that of one build or release of the whole rack: a store may answer with
// [rack.ErrConflict] to another app that comes with it.
type Stores struct {
	Apps       Apps
	Builds     Builds
	Releases   Releases
	Trash      Trash
	Parameters Parameters
	Registries Registries

	Objects Objects
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
	// RemoveBuilds removes all records of an app; those in the trash stay there.
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

// Trash keeps the records of builds that were dropped until nothing is left of what
// belongs to them elsewhere.
type Trash interface {
	// DropBuild takes a build and all releases of it out of the records and puts
	// it into the trash, all at once, if it still equals old. Otherwise it returns
	// an error that is [rack.ErrConflict] and does nothing.
	DropBuild(ctx context.Context, old rack.Build) error
	// Dropped lists what is in the trash, in any order.
	Dropped(ctx context.Context) ([]rack.Build, error)
	// ForgetBuild takes a build out of the trash; it may not be there.
	ForgetBuild(ctx context.Context, b rack.Build) error
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
	// RemoveObject removes an object, or returns an error that is
	// [rack.ErrNotFound]. What is open stays readable.
	RemoveObject(ctx context.Context, app, key string) error
	// RemoveObjects removes all objects of an app. What is open stays readable.
	RemoveObjects(ctx context.Context, app string) error
	ObjectLists
}

// ObjectLists lists what is kept.
type ObjectLists interface {
	// ListObjects returns the keys of an app that have prefix in front of a last
	// part without a slash, in their order. Very long keys may be missing.
	ListObjects(ctx context.Context, app, prefix string) ([]string, error)
	// OldObjects lists the keys of an app that begin with prefix, of objects that
	// were stored before a time, by the store's clock. Keys of more than 80 bytes
	// may be missing.
	OldObjects(ctx context.Context, app, prefix string, before time.Time) ([]string, error)
}
