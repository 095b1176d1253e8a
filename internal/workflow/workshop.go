package workflow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/buildlog"
	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/manifest"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/source"
)

// workshop is where a build is made on this machine: a directory with the tree as
// a Rack would get it, room for images, and the log.
type workshop struct {
	Job
	delivery
	in       BuildInputs
	options  rack.BuildOptions
	engine   Engine
	dir      string
	text     []byte // of the manifest
	manifest *manifest.Manifest
	env      map[string]string // of the app, overlaid with the build args
	log      *os.File          // of the build, as it will be stored
	secrets  ci.Secrets        // that are not to be in it

	entrypoint string // of the image that was built last, quoted for a shell
}

// workshop prepares everything that a build needs, and finds what is wrong with it
// before anything is said to the rack.
func (j Job) workshop(ctx context.Context, d delivery, in BuildInputs, o rack.BuildOptions) (w *workshop, err error) {
	w = &workshop{Job: j, delivery: d, in: in, options: o}
	if w.engine, err = j.Engine(ctx); err != nil {
		return nil, err
	}
	if err := w.read(ctx); err != nil {
		return nil, err
	}
	if w.dir, err = os.MkdirTemp("", "convox-ci-build-"); err != nil {
		return nil, err
	}
	if err = w.furnish(ctx); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// read loads the manifest with the environment that a Rack would give it: that of
// the newest release, overlaid with the build args.
func (w *workshop) read(ctx context.Context) error {
	newest, _, err := w.books.NewestRelease(ctx, w.in.App)
	if err != nil {
		return fmt.Errorf("the environment of %s, which a build is made with: %w", w.in.App, err)
	}
	w.env = newest.Variables()
	for _, a := range w.in.BuildArgs {
		w.env[a.Key] = a.Value
	}
	if w.text, err = os.ReadFile(w.in.file()); err != nil {
		return err
	}
	if w.manifest, err = manifest.Load(w.text, w.env); err != nil {
		if fault, ok := errors.AsType[*manifest.Error](err); ok {
			return &ManifestError{File: w.in.file(), Fault: fault}
		}
		return err
	}
	return nil
}

// furnish lays out the source. It is packed and unpacked as on its way to a Rack,
// so that the same files get into the images.
func (w *workshop) furnish(ctx context.Context) (err error) {
	if w.log, err = os.Create(filepath.Join(w.dir, "log")); err != nil {
		return err
	}
	if err := os.Mkdir(w.tree(), 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(w.tree())
	if err != nil {
		return err
	}
	defer root.Close()
	packed := pack(ctx, string(w.in.Context), source.Options{Keep: w.in.keep(w.text), Warn: w.Log.Warn})
	defer packed.Close()
	if _, err = source.Unpack(ctx, root, packed, source.Limits{Bytes: maxTree, Files: maxTreeFiles}); err != nil {
		return err
	}
	return dateTree(ctx, root)
}

// Limits of a tree that this machine has anyway: they only end what never would.
const (
	maxTree      = 1 << 40 // bytes
	maxTreeFiles = 100_000_000
)

func (w *workshop) tree() string { return filepath.Join(w.dir, "source") }

// close clears up. What cannot be removed is only in the way.
func (w *workshop) close() {
	if w.log != nil {
		w.log.Close()
	}
	if err := os.RemoveAll(w.dir); err != nil {
		w.Log.Warn("the images of the build could not be removed: " + err.Error())
	}
}

// bake makes the images, and shows and keeps the log of it. Its last line is the
// fault if it failed, as on a Rack.
func (w *workshop) bake(ctx context.Context, id, repository string, to bake.Registry) (images []bake.Image, err error) {
	ctx, done := limited(ctx, "build-timeout", w.in.BuildTimeout)
	defer done()
	end := w.Log.Group("Build log of " + id)
	defer end()
	var told buildlog.Log
	var fault error
	err = w.Log.Foreign(func(shown io.Writer) error {
		kept := ci.NewMask(io.MultiWriter(w.log, &told), &w.secrets)
		log := io.MultiWriter(kept, shown)
		caches := w.cache(ctx, log)
		baker := bake.Baker{Builder: w.engine, Registry: to, Wrapper: w.engine}
		images, fault = baker.Bake(ctx, bake.Order{
			App: w.in.App, Build: id, Source: w.tree(), Scratch: filepath.Join(w.dir, "images"), Manifest: w.manifest, Env: w.env,
			Repository: repository, Cache: caches, Manner: bake.Manner{Development: w.in.Development, NoCache: w.in.NoCache.IsOn(), Unwrapped: w.v3},
			Built: func(words []string) error { w.entrypoint = rack.EntrypointLine(words); return nil },
		}, log)
		for _, i := range images {
			fmt.Fprintf(log, "Image: %s@%s\n", i.Ref, i.Digest)
		}
		if fault != nil {
			fmt.Fprintf(log, "ERROR: %v\n", fault)
		}
		return kept.Close()
	})
	w.tell(id, &told, fault == nil)
	if undelivered, ok := errors.AsType[*DeliveryError](fault); ok {
		fault = undelivered
	} else if fault != nil && ctx.Err() == nil {
		fault = w.in.failed(rack.Build{ID: id, Reason: w.secrets.Mask(fault.Error())}, &told)
	}
	return images, errors.Join(fault, err)
}

// storeLog puts the log where a Rack has it.
func (w *workshop) storeLog(ctx context.Context, id string) (rack.Object, error) {
	return w.books.PutObject(ctx, w.in.App, rack.LogKey(id), func() (io.ReadCloser, error) { return os.Open(w.log.Name()) })
}
