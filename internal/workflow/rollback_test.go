package workflow_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// history is the releases of a shop: the fourth is active, and the last never
// was.
var history = []rack.Release{
	{ID: "RNOBUILDAAA", Env: "A=0", Description: "env add:A"},
	{ID: "RFIRSTAAAAA", Build: "BONE", Env: "A=1", Description: "the first"},
	{ID: "RSECONDAAAA", Build: "BTWO", Env: "A=1", Description: "the second"},
	{ID: "RACTIVEAAAA", Build: "BTWO", Env: "A=1", Description: "the second again"},
	{ID: "RLATESTAAAA", Build: "BTHREE", Env: "A=9", Description: "the third"},
}

func withHistory(t *testing.T, app string) workflow.Job {
	t.Helper()
	var list []rack.Release
	for i, r := range history {
		r.App, r.Manifest, r.Created = "shop", imageManifest, at(i)
		list = append(list, r)
	}
	return shop(t, active(app), nil, list...)
}

// TestRollback: each way of saying where to, and what comes of it is a copy that
// is live.
func TestRollback(t *testing.T) {
	const current = "RACTIVEAAAA"
	for _, test := range []struct {
		name, active string
		in           workflow.RollbackInputs
		build, env   string // of what is live then
		wrong        string
	}{
		{"to", current, workflow.RollbackInputs{To: "RFIRSTAAAAA"}, "BONE", "A=1", ""},
		{"to a newer one", current, workflow.RollbackInputs{To: "RLATESTAAAA"}, "BTHREE", "A=9", ""},
		{"to itself", current, workflow.RollbackInputs{To: current}, "BTWO", "A=1", ""},
		{"to nothing", current, workflow.RollbackInputs{To: "RNOTTHEREAA"}, "", "", "release not found: RNOTTHEREAA"},
		{"to no build", current, workflow.RollbackInputs{To: "RNOBUILDAAA"}, "", "", "release RNOBUILDAAA has no build"},
		{"last good", current, workflow.RollbackInputs{LastGood: true}, "BONE", "A=1", ""}, // the one before is the same
		{"last good of the first", "RFIRSTAAAAA", workflow.RollbackInputs{LastGood: true}, "", "", "none before the active one differs from it"},
		{"last good of none", "", workflow.RollbackInputs{LastGood: true}, "", "", "the app has no active release to go back from"},
		{"description", current, workflow.RollbackInputs{Description: "first"}, "BONE", "A=1", ""},
		{"description, newer", current, workflow.RollbackInputs{Description: "third"}, "", "", `none of the last 3 before the active one has "third" in its description`},
		{"description, no build", current, workflow.RollbackInputs{Description: "env"}, "", "", `has "env" in its description`},
		{"commit", current, workflow.RollbackInputs{GitSHA: "ofbone"}, "BONE", "A=1", ""},
		{"a beginning of a commit", current, workflow.RollbackInputs{GitSHA: "of"}, "BTWO", "A=1", ""},
		{"commit, newer", current, workflow.RollbackInputs{GitSHA: "ofbthree"}, "", "", "none of the last 3 before the active one is built from commit ofbthree"},
		{"active one unknown", "RELSEWHERE", workflow.RollbackInputs{Description: "first"}, "", "", "RELSEWHERE is not among the last 5"},
	} {
		j, s := heard(withHistory(t, test.active))
		test.in.Target, test.in.Limits, test.in.Wait = target, minute, true
		o, err := workflow.Rollback(t.Context(), j, test.in)
		if test.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), test.wrong) {
				t.Errorf("%s: %v", test.name, err)
			}
			list, _ := j.Rack.Releases(t.Context(), "shop", 0)
			if len(list) != len(history) {
				t.Errorf("%s: a release was made", test.name)
			}
			s.has(t, map[string]string{"status": "failed", "promoted": "false", "release": ""})
			continue
		}
		if err != nil || o.Verdict != rack.Live {
			t.Errorf("%s: %+v, %v", test.name, o, err)
			continue
		}
		live, err := j.Rack.Release(t.Context(), "shop", o.Active)
		if err != nil || live.Build != test.build || live.Env != test.env || !live.Created.After(at(len(history)-1)) {
			t.Errorf("%s: live is %+v, %v", test.name, live, err)
		}
		s.has(t, map[string]string{"status": "complete", "promoted": "true", "release": live.ID, "previous-release": test.active})
	}
}

// TestRollbackPastADeletedBuild: what is gone is no hindrance.
func TestRollbackPastADeletedBuild(t *testing.T) {
	j, _ := heard(past(withHistory(t, "RACTIVEAAAA"), func(r *http.Request) (int, string) {
		if strings.HasSuffix(r.URL.Path, "/builds/BTWO") {
			return http.StatusNotFound, "build not found: BTWO"
		}
		return 0, ""
	}))
	o, err := workflow.Rollback(t.Context(), j, workflow.RollbackInputs{Target: target, GitSHA: "ofb", Limits: minute, PromoteOptions: workflow.PromoteOptions{Wait: true}})
	if err != nil || o.Verdict != rack.Live {
		t.Errorf("%+v, %v", o, err)
	}
}

// TestRollbackInputs: exactly one says where to.
func TestRollbackInputs(t *testing.T) {
	for _, test := range []struct {
		in workflow.RollbackInputs
		ok bool
	}{
		{workflow.RollbackInputs{}, false}, {workflow.RollbackInputs{To: "RABC"}, true}, {workflow.RollbackInputs{To: "R/../x"}, false}, {workflow.RollbackInputs{LastGood: true}, true},
		{workflow.RollbackInputs{Description: "x"}, true}, {workflow.RollbackInputs{GitSHA: "x"}, true}, {workflow.RollbackInputs{GitSHA: "x", LastGood: true}, false},
		{workflow.RollbackInputs{To: "RABC", Description: "x"}, false},
	} {
		test.in.Target = connected()
		if err := test.in.Check(nothing); (err == nil) != test.ok {
			t.Errorf("%+v: %v", test.in, err)
		}
	}
}

// TestReleases: which one is active is said, and of variables only the names.
func TestReleases(t *testing.T) {
	j := withHistory(t, "RACTIVEAAAA")
	list, err := workflow.Releases(t.Context(), j, workflow.ListInputs{Target: target, Limit: 3})
	if err != nil || len(list) != 3 || list[0].ID != "RLATESTAAAA" || list[0].Active || !list[1].Active || list[2].Active {
		t.Errorf("%+v, %v", list, err)
	}
	one, err := workflow.ReleaseInfo(t.Context(), j, workflow.ReleaseInfoInputs{ReleaseInput: workflow.ReleaseInput{Target: target, Release: "RACTIVEAAAA"}})
	if err != nil || !one.Active || one.Build != "BTWO" || strings.Join(one.Variables, " ") != "A" {
		t.Errorf("%+v, %v", one, err)
	}
	if none, err := workflow.Releases(t.Context(), shop(t, running, nil), workflow.ListInputs{Target: target}); err != nil || none == nil || len(none) != 0 {
		t.Errorf("%#v, %v", none, err)
	}
	if _, err := workflow.Releases(t.Context(), j, workflow.ListInputs{Target: workflow.Target{App: "other"}}); !errors.Is(err, rack.ErrNotFound) {
		t.Error(err)
	}
}
