package rackd_test

import (
	"context"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

const interrupted = "the rack ended while the build ran"

// wantEmptySpool fails if there is any file in the spool.
func (m *machine) wantEmptySpool() {
	m.Helper()
	err := fs.WalkDir(os.DirFS(filepath.Join(m.dir, "spool")), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			m.Errorf("left in the spool: %s", path)
		}
		return err
	})
	m.must(err)
}

func TestRackIsKilledWhileABuildRuns(t *testing.T) {
	for _, test := range []struct{ name, said, stored string }{
		{"within a line", "half a li", "half a li\nERROR: " + interrupted + "\n"},
		{"between lines", "a line\n", "a line\nERROR: " + interrupted + "\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := start(t, slots(1))
			s := lead(m)
			b := m.create(nil)
			receive(m, s.in)
			waiting := m.create(nil)
			conn := m.socket("/apps/web/builds/"+b.ID+"/logs", nil)
			m.read(conn)
			s.say <- test.said
			m.read(conn)
			next := m.killed()
			next.wantFailed(b.ID, interrupted, plain["convox.yml"])
			next.wantFailed(waiting.ID, interrupted, "")
			if log := next.log(b.ID); log != firstLine+test.stored {
				t.Errorf("log is %q, want %q", log, firstLine+test.stored)
			}
			next.wantEmptySpool()
			third := next.killed() // and all is as it was after another start
			if log := third.log(b.ID); log != firstLine+test.stored {
				t.Errorf("log after another start is %q", log)
			}
		})
	}
}

// The spool may be on a disk that is emptied at each start.
func TestRackIsKilledAndItsSpoolIsLost(t *testing.T) {
	m := start(t)
	s := lead(m)
	b := m.create(nil)
	receive(m, s.in)
	dir := t.TempDir()
	m.copyTo(dir, "data")
	next := resume(t, dir)
	next.wantFailed(b.ID, interrupted, plain["convox.yml"])
	if log := next.log(b.ID); log != "ERROR: "+interrupted+"\n" {
		t.Errorf("log is %q", log)
	}
}

// beforeFinal is a store that stops before a build is called complete.
type beforeFinal struct {
	rackd.Builds
	at, goOn chan struct{}
}

func (s *beforeFinal) SwapBuild(ctx context.Context, old, next rack.Build) error {
	if next.Status == rack.BuildComplete {
		s.at <- struct{}{}
		<-s.goOn
	}
	return s.Builds.SwapBuild(ctx, old, next)
}

// When its release is made, all that a build is for has been done.
func TestRackIsKilledBeforeTheLastWord(t *testing.T) {
	var last *beforeFinal
	m := start(t, func(c *rackd.Config) {
		last = &beforeFinal{Builds: c.Stores.Builds, at: make(chan struct{}), goOn: make(chan struct{})}
		c.Stores.Builds = last
	})
	m.post("/apps/web/releases", url.Values{"env": {"A=0"}}) // of no build
	b := m.create(nil)
	receive(m, last.at)
	made := m.releases()
	if len(made) != 2 || made[0].Build != b.ID || m.build(b.ID).Status != rack.BuildRunning {
		t.Fatalf("releases %v, build %+v", made, m.build(b.ID))
	}
	// A release made from this one has its build too, but is not the build's own.
	m.post("/apps/web/releases", url.Values{"env": {"A=1"}})
	next := m.killed()
	close(last.goOn)
	got := next.build(b.ID)
	if got.Status != rack.BuildComplete || got.Release != made[0].ID || got.Reason != "" || got.Ended.IsZero() {
		t.Errorf("build is %+v, its release was %s", got, made[0].ID)
	}
	if log := next.log(b.ID); !strings.HasPrefix(log, firstLine) || strings.Contains(log, "ERROR") {
		t.Errorf("log is %q", log)
	}
	next.wantEmptySpool()
}

// A release that a client made of a build while it ran says nothing about how
// far the build was.
func TestRackIsKilledAndAClientHasMadeARelease(t *testing.T) {
	m := start(t)
	s := lead(m)
	b := m.create(nil)
	receive(m, s.in)
	r := decode[rack.Release](m, m.post("/apps/web/releases", url.Values{"build": {b.ID}}))
	got := m.killed().build(b.ID)
	if got.Status != rack.BuildFailed || got.Release != "" {
		t.Errorf("build is %s with release %q, the client's was %s", got.Status, got.Release, r.ID)
	}
}

// brokenBuilds is a store whose records cannot be changed.
type brokenBuilds struct{ rackd.Builds }

var errBroken = errors.New("the disk is broken")

func (brokenBuilds) SwapBuild(context.Context, rack.Build, rack.Build) error { return errBroken }

// A rack that cannot say what became of its builds does not start, and leaves
// their logs to the next try.
func TestRackCannotRecover(t *testing.T) {
	m := start(t)
	s := lead(m)
	b := m.create(nil)
	receive(m, s.in)
	conn := m.socket("/apps/web/builds/"+b.ID+"/logs", nil)
	m.read(conn)
	c := rackd.Config{Stores: m.stores, Spool: t.TempDir()}
	m.must(os.CopyFS(c.Spool, os.DirFS(filepath.Join(m.dir, "spool"))))
	c.Stores.Builds = brokenBuilds{m.stores.Builds}
	if _, err := rackd.New(t.Context(), c); !errors.Is(err, errBroken) || !strings.Contains(err.Error(), b.ID) {
		t.Errorf("start over a broken store: %v", err)
	}
	left, err := os.ReadFile(filepath.Join(c.Spool, "logs", b.ID+".log"))
	if err != nil || !strings.HasPrefix(string(left), firstLine) {
		t.Errorf("log left: %q, %v", left, err)
	}
}
