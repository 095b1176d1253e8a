// Package buildkit builds images with a BuildKit daemon, wherever it runs.
package buildkit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/util/grpcerrors"
	"github.com/moby/buildkit/util/progress/progressui"
	"github.com/tonistiigi/fsutil"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"

	"github.com/convox-ci/convox-ci/internal/image"
)

// Builder builds with one daemon.
type Builder struct {
	// Keychain has the credentials for the registries of base images and of caches; nil has none.
	Keychain authn.Keychain
	// Held tells what of limits the daemon can hold for all steps of a build
	// together; nil for one that may hold them, all, for each step alone.
	Held func(image.Limits) image.Limits

	client *client.Client
}

var _ image.Cacher = (*Builder)(nil)

// New makes a builder of a client that is connected to a daemon. The daemon
// must be able to hand over OCI images, as all but Docker's own can.
func New(c *client.Client) *Builder { return &Builder{client: c} }

// Caches implements [image.Cacher].
func (b *Builder) Caches(context.Context) bool { return true }

// Close ends the connection to the daemon.
func (b *Builder) Close() error { return b.client.Close() }

// Build solves the Dockerfile of a spec and has the image written to its
// layout. Provenance is left out: Racks push plain images for one platform.
func (b *Builder) Build(ctx context.Context, s image.Spec, log io.Writer) error {
	if b.Held != nil {
		s.Limits = b.Held(s.Limits)
	}
	opt, err := solveOptions(s)
	if err != nil {
		return err
	}
	if err := useCache(&opt, s.Cache, log); err != nil {
		return err
	}
	opt.Exports = toLayout(s)
	if b.Keychain != nil {
		opt.Session = append(opt.Session, credentials(b.Keychain))
	}
	_, err = solve(ctx, b.client, opt, bounds{s.Limits, b.Held != nil}, log)
	return err
}

// toLayout has a daemon write the image to the layout of a spec as it comes.
func toLayout(s image.Spec) []client.ExportEntry {
	return []client.ExportEntry{{Type: client.ExporterOCI, Attrs: map[string]string{"tar": "false"}, OutputDir: s.Layout}}
}

// solveOptions is what all daemons are told of a spec.
func solveOptions(s image.Spec) (client.SolveOpt, error) {
	folder, file := filepath.Split(s.Dockerfile)
	source, err := fsutil.NewFS(s.Context)
	if err != nil {
		return client.SolveOpt{}, fmt.Errorf("build context %s: %w", s.Context, err)
	}
	dockerfiles, err := fsutil.NewFS(filepath.Clean(folder))
	if err != nil {
		return client.SolveOpt{}, fmt.Errorf("folder of the Dockerfile %s: %w", folder, err)
	}
	key, err := sharedKey(s.Context, folder)
	if err != nil {
		return client.SolveOpt{}, err
	}
	attrs := map[string]string{"filename": file}
	if s.Target != "" {
		attrs["target"] = s.Target
	}
	if s.NoCache {
		attrs["no-cache"] = ""
	}
	limit(attrs, s.Limits)
	for _, arg := range s.Args {
		name, value, _ := strings.Cut(arg, "=")
		attrs["build-arg:"+name] = value
	}
	return client.SolveOpt{
		Frontend:      "dockerfile.v0",
		FrontendAttrs: attrs,
		LocalMounts:   map[string]fsutil.FS{"context": source, "dockerfile": dockerfiles},
		SharedKey:     key,
	}, nil
}

// sharedKey names the directories that are sent to the daemon. It sends for the
// files of which size or time differ from what it had under the same key before,
// so two directories with one key could get each other's files.
func sharedKey(dirs ...string) (string, error) {
	h := sha256.New()
	for _, dir := range dirs {
		full, err := filepath.Abs(dir)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%q", full)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// solve runs a build and prints its progress as plain lines while it runs.
func solve(ctx context.Context, c *client.Client, opt client.SolveOpt, limits bounds, log io.Writer) (*client.SolveResponse, error) {
	display, err := progressui.NewDisplay(log, progressui.PlainMode)
	if err != nil {
		return nil, err
	}
	var res *client.SolveResponse
	status, shown := make(chan *client.SolveStatus), make(chan *client.SolveStatus)
	faults := cacheFaults{}
	g, solving := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		res, err = c.Solve(solving, nil, opt, status) // it closes status
		return err
	})
	g.Go(func() error {
		defer close(shown)
		for s := range status {
			faults.add(s)
			shown <- s
		}
		return nil
	})
	g.Go(func() error {
		// Not with the group's context: the last lines say why the build failed.
		_, err := display.UpdateFrom(context.WithoutCancel(ctx), shown)
		for range shown { // where the log could not be written
		}
		return err
	})
	if err := g.Wait(); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		if told := excerpt(err, log); told != nil {
			return nil, told
		}
		if gone(ctx, c, err) {
			return nil, errGone
		}
		return nil, hungry(err, limits)
	}
	return res, faults.warn(log)
}

// errGone is the error of a build whose daemon has ended.
var errGone = errors.New("the builder has ended, or is out of reach, in the middle of the build: look at the log of the Docker engine or of the BuildKit daemon, and build again")

// gone tells whether a build has failed because its daemon is there no longer. One that
// is may have met the same error on its way to a registry, and one that is there again
// does not know the build.
func gone(ctx context.Context, c *client.Client, err error) bool {
	if grpcerrors.Code(err) != codes.Unavailable {
		return false
	}
	ctx, done := context.WithTimeout(ctx, connectTimeout)
	defer done()
	_, silent := c.ListWorkers(ctx)
	return silent != nil || strings.Contains(err.Error(), "error reading from server: ")
}

// excerpt prints the lines of a Dockerfile that an error comes from, as Docker's
// own client does.
func excerpt(err error, log io.Writer) error {
	for _, s := range errdefs.Sources(err) {
		if err := s.Print(log); err != nil {
			return err
		}
	}
	return nil
}

// plain takes the words of gRPC and of the solver's wrapping off an error.
func plain(err error) error {
	text := err.Error()
	for _, prefix := range []string{"failed to solve: ", "rpc error: code = Unknown desc = "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return errors.New(text)
}
