package embedded

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// TestWhatTheKernelIsTold makes groups on machines that are files. On the machine
// of the tests, which is of one kind, TestLimitsOfABuild does.
func TestWhatTheKernelIsTold(t *testing.T) {
	all := bounds{memory: 96 << 20, period: 100_000, quota: 25_000}
	for _, test := range []struct {
		name, files string
		bounds      bounds
		want        map[string]string // content of files of the group, or of its ancestors
	}{
		{"v2", "cgroup.controllers=cpu memory cgroup.subtree_control=cpu memory P/cgroup.controllers=cpu memory P/cgroup.subtree_control=cpu memory", all,
			map[string]string{"P/G/memory.max": "100663296", "P/G/cpu.max": "25000 100000", "cgroup.subtree_control": "cpu memory"}},
		{"v2 where it is off below", "cgroup.controllers=memory cgroup.subtree_control=memory P/cgroup.controllers=memory P/cgroup.subtree_control=", bounds{memory: 5},
			map[string]string{"P/G/memory.max": "5", "P/cgroup.subtree_control": "+memory", "cgroup.subtree_control": "memory"}},
		{"v2 where it is off", "cgroup.controllers=cpu cgroup.subtree_control= P/cgroup.controllers=cpu P/cgroup.subtree_control=cpu", bounds{period: 1, quota: 2},
			map[string]string{"P/G/cpu.max": "2 1", "cgroup.subtree_control": "+cpu", "P/G/memory.max": ""}},
		{"v2 with swap", "cgroup.controllers=memory cgroup.subtree_control=memory P/cgroup.controllers=memory P/cgroup.subtree_control=memory P/G/memory.swap.max=max", bounds{memory: 5},
			map[string]string{"P/G/memory.max": "5", "P/G/memory.swap.max": "0"}},
		{"v1", "memory/tasks cpu/tasks", all,
			map[string]string{"memory/P/G/memory.limit_in_bytes": "100663296", "memory/P/G/memory.memsw.limit_in_bytes": "", "cpu/P/G/cpu.cfs_period_us": "100000", "cpu/P/G/cpu.cfs_quota_us": "25000"}},
		{"v1 with swap", "memory/P/G/memory.memsw.limit_in_bytes=9 memory/P/G/memory.use_hierarchy=0", bounds{memory: 5},
			map[string]string{"memory/P/G/memory.limit_in_bytes": "5", "memory/P/G/memory.memsw.limit_in_bytes": "5", "memory/P/G/memory.use_hierarchy": "1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newGroups("", "/root")
			names := strings.NewReplacer("P/", g.parent+"/", "G/", "own/")
			g.kernel = machine(t, names.Replace(test.files), "")
			if err := g.make("own", test.bounds); err != nil {
				t.Fatal(err)
			}
			for name, want := range maps.All(test.want) {
				got, err := os.ReadFile(filepath.Join(g.kernel, names.Replace(name)))
				if string(got) != want || (err == nil) != (want != "") {
					t.Errorf("%s is %q (%v), want %q", name, got, err, want)
				}
			}
		})
	}
}

// TestGroupThatCannotBeMade: a build is not run without the limits it was promised.
func TestGroupThatCannotBeMade(t *testing.T) {
	g := newGroups(machine(t, "memory=a file", ""), "/root")
	_, err := g.begin("session", bounds{memory: 5})
	if err == nil || !strings.HasPrefix(err.Error(), "group of processes for the limits of the build: ") {
		t.Errorf("error is %v, want one about the group", err)
	}
	if parent, leave := g.join([]string{"session"}); parent != "" {
		leave()
		t.Errorf("the build has the group %s", parent)
	}
}

func TestBoundsOfARequest(t *testing.T) {
	for _, test := range []struct {
		name  string
		attrs map[string]string
		want  bounds
		fault string
	}{
		{"none", map[string]string{"target": "x"}, bounds{}, ""},
		{"all", map[string]string{"target": "x", "memory": "5", "cpuperiod": "6", "cpuquota": "7"}, bounds{5, 6, 7}, ""},
		{"no number", map[string]string{"target": "x", "memory": "5m"}, bounds{}, `memory: "5m" is not a whole number from 1 on`},
		{"too little", map[string]string{"target": "x", "cpuquota": "0"}, bounds{}, `cpuquota: "0" is not a whole number from 1 on`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := takeBounds(test.attrs)
			if got != test.want || (err != nil) != (test.fault != "") || err != nil && err.Error() != test.fault {
				t.Errorf("%+v, %v; want %+v, %q", got, err, test.want, test.fault)
			}
			if test.fault == "" && (len(test.attrs) != 1 || test.attrs["target"] != "x") {
				t.Errorf("%v is left for the frontend", test.attrs)
			}
		})
	}
}

// TestWhereAStepRuns tries which group a step of several builds gets.
func TestWhereAStepRuns(t *testing.T) {
	for _, test := range []struct {
		name, sessions, want string
	}{
		{"one", "low", "low"},
		{"without limits", "free", ""},
		{"the widest", "low high cpu", "cpu"},
		{"the wider one", "high low", "high"},
		{"one without limits", "low free", ""},
		{"one that has ended", "ended low", "low"},
		{"ended", "ended", ""},
		{"nobody", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newGroups(machine(t, "memory/tasks cpu/tasks", ""), "/root")
			for session, b := range map[string]bounds{"low": {memory: 5}, "high": {memory: 6}, "cpu": {period: 1, quota: 1}, "free": {}, "ended": {memory: 9}} {
				end, err := g.begin(session, b)
				if err != nil {
					t.Fatal(err)
				}
				if session == "ended" {
					end()
				}
			}
			got, leave := g.join(strings.Fields(test.sessions))
			defer leave()
			want := ""
			if test.want != "" {
				want = "/" + g.parent + "/" + g.builds[test.want].name
			}
			if got != want {
				t.Errorf("step runs in %q, want %q", got, want)
			}
		})
	}
}

// TestGroupOutlivesItsBuild: a step of another build that runs in it keeps it, and
// keeps the daemon from ending.
func TestGroupOutlivesItsBuild(t *testing.T) {
	root := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		g := newGroups(kernelGroups, root)
		there := func(pattern string) bool {
			return slices.ContainsFunc(g.parents(), func(dir string) bool {
				found, _ := filepath.Glob(filepath.Join(dir, pattern))
				return len(found) > 0
			})
		}
		for _, patient := range []bool{true, false} {
			end, err := g.begin("session", bounds{memory: 16 << 20})
			if err != nil {
				t.Fatal(err)
			}
			parent, leave := g.join([]string{"session"})
			end()
			if !there(filepath.Base(parent)) {
				t.Error("the group is gone while a step needs it")
			}
			ctx, giveUp := context.WithCancel(t.Context())
			closed := false
			go func() {
				if err := g.close(ctx); err != nil {
					t.Error(err)
				}
				closed = true
			}()
			synctest.Wait()
			if closed {
				t.Error("closed while a step runs")
			}
			if patient {
				leave()
			}
			giveUp()
			synctest.Wait()
			if !closed || there("") {
				t.Errorf("closed: %v, with groups left: %v", closed, there(""))
			}
			if !patient {
				leave()
			}
		}
	})
}
