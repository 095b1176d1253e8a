package rackd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/manifest"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/source"
)

var (
	errStopped     = errors.New("the rack was stopped while the build ran")
	errInterrupted = errors.New("the rack ended while the build ran")
)

// job is what a build was asked for beyond its record.
type job struct {
	app, id, source, manifest string
	args                      []string // NAME=VALUE
	development, noCache      bool
	fargate                   bool // the log is that of a builder there
}

// begin records a build as running and starts it.
func (s *Server) begin(ctx context.Context, j job, b rack.Build) (rack.Build, error) {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.work.Err() != nil {
		return b, fault(http.StatusServiceUnavailable, "the rack is being stopped")
	}
	if err := s.standing(ctx, j.app); err != nil {
		return b, err
	}
	b.Status, b.Started = rack.BuildRunning, now()
	var log *liveLog
	var running context.Context
	for {
		b.ID = rack.NewID("B")
		var err error
		if log, err = s.logs.begin(b.ID); errors.Is(err, os.ErrExist) {
			continue
		} else if err != nil {
			return b, err
		}
		running = s.cancels.add(s.work, b.ID)
		if err = s.Stores.Builds.SwapBuild(ctx, rack.Build{}, b); err == nil {
			break
		}
		s.cancels.close(running, b.ID)
		s.logs.end(b.ID)
		if !isConflict(err) {
			return b, err
		}
	}
	j.id = b.ID
	s.busy.Go(func() { s.run(running, j, log) })
	return b, nil
}

// run carries a build out and records how it ended. The log ends last: a client
// looks at the record as soon as it does.
func (s *Server) run(ctx context.Context, j job, log *liveLog) {
	defer s.logs.end(j.id)
	err := s.attempt(ctx, j, log)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx) // and not what became of it in the builder
	}
	if s.cancels.close(ctx, j.id) {
		err = errCancelled
	}
	ctx = context.WithoutCancel(ctx) // how it ended is recorded even while the rack stops
	if err == nil {
		if err = s.complete(ctx, j); err == nil {
			return
		}
	}
	io.WriteString(log, errorLine(log.file, err))
	if err := s.fail(ctx, j.app, j.id, err); err != nil {
		s.say("build %s has failed, which could not be recorded: %v", j.id, err)
	}
}

// attempt builds when it is the build's turn, for as long as it may take.
func (s *Server) attempt(ctx context.Context, j job, log io.Writer) error {
	err := s.queue.enter(ctx, j.app, func() {
		fmt.Fprintf(log, "Waiting: as many builds run as may run at once (%d)\n", s.Limits.AtOnce)
	})
	if err != nil {
		return err
	}
	defer s.queue.leave(j.app)
	ctx, done := s.timed(ctx)
	defer done()
	if err = s.produce(ctx, j, log); err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// produce builds in a directory of its own.
func (s *Server) produce(ctx context.Context, j job, log io.Writer) error {
	s.pushing.RLock()
	defer s.pushing.RUnlock()
	dir := filepath.Join(s.Spool, "work", j.id)
	defer os.RemoveAll(dir)
	tree := filepath.Join(dir, "source")
	if err := os.MkdirAll(tree, 0o700); err != nil {
		return err
	}
	p, err := s.parameters(ctx)
	if err != nil {
		fmt.Fprintf(log, "WARNING: building without the persistent cache: %v\n", err)
	}
	j.fargate = p[buildMethod] == fargate
	if err := s.logIn(ctx, j, log); err != nil {
		return err
	}
	if err := s.fetch(ctx, j, tree, log); err != nil {
		return err
	}
	m, env, err := s.readManifest(ctx, j, tree)
	if err != nil {
		return err
	}
	images, err := s.Baker.Bake(ctx, s.caching(ctx, bake.Order{
		App: j.app, Build: j.id, Source: tree, Scratch: filepath.Join(dir, "images"), Manifest: m, Env: env,
		Repository: s.Registry + "/" + j.app, Manner: bake.Manner{Development: j.development, NoCache: j.noCache, Fargate: j.fargate},
		Built:  func(entrypoint []string) error { return s.recordEntrypoint(ctx, j, entrypoint) },
		Limits: s.buildLimits(ctx, log),
	}, p[buildCache] == yes, log), log)
	for _, i := range images {
		fmt.Fprintf(log, "Image: %s@%s\n", i.Ref, i.Digest)
	}
	return err
}

// fetch unpacks the source of a build into a directory.
func (s *Server) fetch(ctx context.Context, j job, tree string, log io.Writer) error {
	owner, key, _ := parseObjectURL(j.source)
	archive, err := s.Stores.Objects.OpenObject(ctx, owner, key)
	if isNotFound(err) {
		return fmt.Errorf("key not found: %s", key)
	}
	if err != nil {
		return err
	}
	defer archive.Close()
	root, err := os.OpenRoot(tree)
	if err != nil {
		return err
	}
	defer root.Close()
	u, err := source.Unpack(ctx, root, archive, source.DefaultLimits())
	if u.Skipped.Count > 0 {
		fmt.Fprintf(log, "Skipping: %s (a Rack builds from directories and regular files only)\n", u.Skipped)
	}
	return err
}

// MaxManifest bounds the text of a manifest, in bytes: that of any app is far
// shorter, and all of it goes into a record.
const MaxManifest = 1 << 20

// manifestText reads the manifest out of the source, and nothing else.
func manifestText(tree, name string) ([]byte, error) {
	root, err := os.OpenRoot(tree)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.Open(filepath.FromSlash(name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, errors.New("there is no such file in the source")
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxManifest+1))
	if err == nil && len(text) > MaxManifest {
		err = fmt.Errorf("it is longer than %d bytes", MaxManifest)
	}
	return text, err
}

// readManifest records the manifest's text before anything is made of it, so
// that a build that fails on it still shows it, and loads it with the latest
// release's environment, overlaid with the build args.
func (s *Server) readManifest(ctx context.Context, j job, tree string) (*manifest.Manifest, map[string]string, error) {
	text, err := manifestText(tree, j.manifest)
	if err != nil {
		return nil, nil, fmt.Errorf("reading manifest %s: %w", j.manifest, err)
	}
	_, err = s.updateBuild(ctx, j.app, j.id, func(b *rack.Build) { b.Manifest = strings.ToValidUTF8(string(text), "\uFFFD") })
	if err != nil {
		return nil, nil, err
	}
	latest, err := s.latest(ctx, j.app)
	if err != nil {
		return nil, nil, err
	}
	env := latest.Variables()
	for _, arg := range j.args {
		name, value, _ := strings.Cut(arg, "=")
		env[name] = value
	}
	m, err := manifest.Load(text, env)
	if err != nil {
		doing := map[bool]string{false: "parse", true: "loading"}[j.fargate]
		return nil, nil, fmt.Errorf("%s manifest: %w", doing, err)
	}
	return m, env, nil
}
