package wire_test

import (
	"testing"

	"github.com/convox-ci/convox-ci/internal/wire"
)

func TestEveryRecordingIsWhole(t *testing.T) {
	names := wire.Names()
	if len(names) == 0 {
		t.Fatal("no recordings")
	}
	for _, name := range names {
		r := wire.Load(t, name)
		if r.Name != name || len(r.Argv) == 0 || len(r.Exchanges) == 0 {
			t.Errorf("%s: name %q, %d words, %d exchanges", name, r.Name, len(r.Argv), len(r.Exchanges))
		}
		if r.CLI != "v2" && r.CLI != "v3" || r.Server != "v2" && r.Server != "v3" {
			t.Errorf("%s: client %q, server %q", name, r.CLI, r.Server)
		}
		for i, e := range r.Exchanges {
			if e.Method == "" || e.Path == "" || e.Status == 0 || e.AnsweredBy != wire.Rack && e.AnsweredBy != wire.Console {
				t.Errorf("%s, exchange %d: %s %s, status %d, by %q", name, i, e.Method, e.Path, e.Status, e.AnsweredBy)
			}
			if (e.Status == 101) != (e.Closed != "") {
				t.Errorf("%s, exchange %d: status %d, closed %q", name, i, e.Status, e.Closed)
			}
		}
	}
}

func TestTargetAlwaysHasAQuestionMark(t *testing.T) {
	for _, test := range []struct {
		e    wire.Exchange
		want string
	}{
		{wire.Exchange{Path: "/apps"}, "/apps?"},
		{wire.Exchange{Path: "/apps/a/builds", Query: "limit=1"}, "/apps/a/builds?limit=1"},
	} {
		if got := test.e.Target(); got != test.want {
			t.Errorf("target is %s, want %s", got, test.want)
		}
	}
}
