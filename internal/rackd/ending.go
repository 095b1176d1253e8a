package rackd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// logKey is where the log of an ended build is stored.
func logKey(build string) string { return "build/" + build + "/logs" }

// complete stores the log, makes the release and only then calls the build
// complete: a client that sees that finds the rest done.
func (s *Server) complete(ctx context.Context, j job) error {
	if err := s.storeLog(ctx, j.app, j.id); err != nil {
		return fmt.Errorf("storing the log: %w", err)
	}
	ended := now()
	_, err := s.updateBuild(ctx, j.app, j.id, func(b *rack.Build) { b.Logs, b.Ended = objectURL(j.app, logKey(j.id)), ended })
	if err != nil {
		return err
	}
	b, err := s.finish(ctx, j.app, j.id)
	if err == nil {
		s.buildEvent(j.app, j.id, "release_id="+b.Release)
	}
	return err
}

// buildEvent tells the log of the rack how a build ended, which a Rack publishes.
func (s *Server) buildEvent(app, id, how string) {
	fmt.Fprintf(s.chronicle.all, "build:create app=%s id=%s %s\n", app, id, how)
}

// finish makes the release of a build and calls it complete.
func (s *Server) finish(ctx context.Context, app, id string) (rack.Build, error) {
	r, err := s.addRelease(ctx, app, proposal{build: id})
	if err != nil {
		return rack.Build{}, err
	}
	return s.updateBuild(ctx, app, id, func(b *rack.Build) { b.Release, b.Status = r.ID, rack.BuildComplete })
}

// fail records that a build ended without a release, and why. The status is
// set even if the log cannot be stored: a client must not wait for ever.
func (s *Server) fail(ctx context.Context, app, id string, cause error) error {
	s.buildEvent(app, id, "error="+oneLine(cause.Error()))
	stored := s.storeLog(ctx, app, id)
	_, err := s.updateBuild(ctx, app, id, func(b *rack.Build) {
		b.Status, b.Ended, b.Reason = rack.BuildFailed, now(), reason(cause)
		if stored == nil {
			b.Logs = objectURL(app, logKey(id))
		}
	})
	return errors.Join(stored, err)
}

// maxReason bounds the reason in a record, in bytes: the log has the rest.
const maxReason = 1 << 10

func reason(cause error) string {
	text := strings.ToValidUTF8(cause.Error(), "\uFFFD")
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	return text
}

// storeLog copies the log of a running build into the store of objects.
func (s *Server) storeLog(ctx context.Context, app, id string) error {
	f, err := os.Open(s.logs.file(id))
	if err != nil {
		return err
	}
	defer f.Close()
	return s.Stores.Objects.PutObject(ctx, app, logKey(id), f)
}

// recover ends what a process before this one left unfinished: its running
// builds become failed, with what their logs had and the reason.
func (s *Server) recover(ctx context.Context) error {
	if err := os.RemoveAll(filepath.Join(s.Spool, "work")); err != nil {
		return err
	}
	apps, err := s.Stores.Apps.ListApps(ctx)
	if err != nil {
		return err
	}
	for _, a := range apps {
		builds, err := s.Stores.Builds.ListBuilds(ctx, a.Name, 0)
		if err != nil {
			return err
		}
		for _, b := range slices.DeleteFunc(builds, rack.Build.Final) {
			if external(b) && !abandoned(b) {
				continue
			}
			if err := s.settle(ctx, b); err != nil {
				return fmt.Errorf("build %s: %w", b.ID, err)
			}
		}
	}
	left, err := s.logs.left()
	for _, id := range left {
		os.Remove(s.logs.file(id))
	}
	return err
}

// settle decides about a build whose process is gone. If its log was stored and
// its release was made, all of its work was done and only the last word is
// missing. Clients can make releases of a build too, as long as it runs and
// after; the build's own is the first.
func (s *Server) settle(ctx context.Context, b rack.Build) error {
	releases, err := s.Stores.Releases.ListReleases(ctx, b.App, 0)
	if err != nil {
		return err
	}
	for _, r := range slices.Backward(releases) { // the earliest first
		if b.Logs != "" && r.Build == b.ID {
			_, err = s.updateBuild(ctx, b.App, b.ID, func(b *rack.Build) { b.Release, b.Status = r.ID, rack.BuildComplete })
			return err
		}
	}
	if err := s.logs.seal(b.ID, errInterrupted); err != nil {
		return err
	}
	return s.fail(ctx, b.App, b.ID, errInterrupted)
}
