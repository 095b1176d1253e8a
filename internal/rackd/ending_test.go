package rackd_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

// noLogs is a store that takes sources, but no logs.
type noLogs struct{ rackd.Objects }

func (s noLogs) PutObject(ctx context.Context, app, key string, r io.Reader) error {
	if strings.HasPrefix(key, "build/") {
		return errDisk
	}
	return s.Objects.PutObject(ctx, app, key, r)
}

// A build whose log is lost has failed, and says so: its client waits.
func TestLogCannotBeStored(t *testing.T) {
	m := start(t, func(c *rackd.Config) { c.Stores.Objects = noLogs{c.Stores.Objects} })
	b := m.create(nil)
	conn := m.socket("/apps/web/builds/"+b.ID+"/logs", nil)
	m.rest(conn) // all of it or nothing, as the build was quicker or not
	m.server.Close()
	b = m.build(b.ID)
	if want := "storing the log: " + errDisk.Error(); b.Status != rack.BuildFailed || b.Reason != want || b.Logs != "" || b.Ended.IsZero() {
		t.Errorf("build is %+v, want reason %q", b, want)
	}
	m.want("releases", m.get("/apps/web/releases"), 200, "[]\n")
}

// noReleases is a store that takes no release.
type noReleases struct{ rackd.Releases }

func (noReleases) AddRelease(context.Context, rack.Release) error { return errDisk }

// A build whose release cannot be made has failed, and its log, which was stored
// by then, says so too.
func TestReleaseCannotBeMade(t *testing.T) {
	m := start(t, func(c *rackd.Config) { c.Stores.Releases = noReleases{c.Stores.Releases} })
	b := m.create(nil)
	m.wantFailed(b.ID, errDisk.Error(), plain["convox.yml"])
	if log := m.log(b.ID); !strings.HasPrefix(log, firstLine+"#1 from scratch\n") {
		t.Errorf("log is %q", log)
	}
}
