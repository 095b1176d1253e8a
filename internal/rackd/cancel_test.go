package rackd_test

import (
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rack"
)

const cancelled = "the build was cancelled"

func (m *machine) cancel(id string) answer {
	m.Helper()
	return m.post("/apps/web/builds/"+id+"/cancel", nil)
}

func TestCancel(t *testing.T) {
	m := start(t)
	s := lead(m)
	b := m.create(nil)
	receive(m, s.in)
	m.want("cancel", m.cancel(b.ID), 200, "ok\n")
	if log := m.log(b.ID); log != firstLine+"ERROR: "+cancelled+"\n" {
		t.Errorf("log is %q", log)
	}
	if b := m.build(b.ID); b.Status != rack.BuildFailed || b.Reason != cancelled || b.Ended.IsZero() || b.Release != "" {
		t.Errorf("build is %+v", b)
	}
	m.want("a second cancel", m.cancel(b.ID), 409, "build is not running: "+b.ID+"\n")
	m.want("no such build", m.cancel("BNONE"), 404, "build not found: BNONE\n")
	m.want("no such app", m.post("/apps/none/builds/B/cancel", nil), 404, "app not found: none\n")
	if rs := m.releases(); len(rs) != 0 {
		t.Errorf("releases are %v", rs)
	}
}

// TestCancelOfOne leaves the others alone, those that wait among them.
func TestCancelOfOne(t *testing.T) {
	m := start(t, slots(1))
	s := lead(m)
	first := m.create(nil)
	receive(m, s.in)
	waiting, other := m.create(nil), m.create(nil)
	m.want("cancel", m.cancel(waiting.ID), 200, "ok\n")
	if log := m.log(waiting.ID); !strings.HasPrefix(log, "Waiting: ") || !strings.HasSuffix(log, "\nERROR: "+cancelled+"\n") {
		t.Errorf("log is %q", log)
	}
	s.done <- nil
	receive(m, s.in)
	s.done <- nil
	for _, id := range []string{first.ID, other.ID} {
		m.log(id)
		if b := m.build(id); b.Status != rack.BuildComplete {
			t.Errorf("build is %+v", b)
		}
	}
	m.want("cancel of a complete build", m.cancel(first.ID), 409, "build is not running: "+first.ID+"\n")
}

// TestCancelAtTheEnd: one that was heard is kept to, even if the builder is
// through before it hears of it.
func TestCancelAtTheEnd(t *testing.T) {
	m := start(t)
	var id string
	m.registry.pushed = func() { m.want("cancel", m.cancel(id), 200, "ok\n") }
	s := lead(m)
	id = m.create(nil).ID
	receive(m, s.in)
	s.done <- nil
	m.log(id)
	if b := m.build(id); b.Status != rack.BuildFailed || b.Reason != cancelled || b.Release != "" {
		t.Errorf("build is %+v", b)
	}
}

func TestCancelApp(t *testing.T) {
	m := start(t)
	m.want("cancel of an app", m.post("/apps/web/cancel", nil), 403, "app is not updating\n")
	m.want("no such app", m.post("/apps/none/cancel", nil), 404, "app not found: none\n")
}
