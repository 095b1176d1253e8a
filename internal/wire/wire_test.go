package wire_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/wire"
)

// TestEveryRecordingIsReplayedOrLeftOutForAReason holds the list against what is
// there. That those of an end are replayed is held by the tests of that end.
func TestEveryRecordingIsReplayedOrLeftOutForAReason(t *testing.T) {
	files := map[string]bool{}
	paths, err := filepath.Glob("testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		files[strings.TrimSuffix(filepath.Base(p), ".json")] = true
	}
	all := wire.All()
	if len(all) < 200 {
		t.Errorf("only %d recordings are listed", len(all))
	}
	before := ""
	for _, r := range all {
		switch {
		case r.Name <= before:
			t.Errorf("%s does not stand behind %s", r.Name, before)
		case len(r.Ends) > 0 != files[r.Name]:
			t.Errorf("%s is replayed against %q, and that it is here is %t", r.Name, r.Ends, files[r.Name])
		case len(r.Ends) < 2 && r.LeftOut == "":
			t.Errorf("%s is replayed against %q, without a reason why against nothing else", r.Name, r.Ends)
		case len(r.Ends) == 2 && r.LeftOut != "":
			t.Errorf("%s is replayed against both ends, although %s", r.Name, r.LeftOut)
		}
		delete(files, r.Name)
		before = r.Name
	}
	for name := range files {
		t.Errorf("%s is not in the list", name)
	}
}

func TestEveryRecordingIsWhole(t *testing.T) {
	names := slices.Concat(wire.Names(wire.Client), wire.Names(wire.Server))
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

func TestEveryProbeIsWhole(t *testing.T) {
	for _, name := range []string{"v2-probes", "v2-websocket-probes", "v3-probes", "v3-websocket-probes"} {
		probes := wire.Probes(t, name)
		if len(probes) < 20 {
			t.Errorf("%s: only %d", name, len(probes))
		}
		for i, p := range probes {
			if p.About == "" || p.Method == "" || p.Path == "" || p.Status == 0 || p.Sent == "" && p.BodyBytes > 0 && p.BodyBytes < 1<<20 {
				t.Errorf("%s, %d, about %q: %s %s, status %d", name, i, p.About, p.Method, p.Path, p.Status)
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
