package embedded

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/convox-ci/convox-ci/internal/image"
)

// TestWhatCanBeHeld tries machines of all kinds, as they show themselves in files.
func TestWhatCanBeHeld(t *testing.T) {
	for _, test := range []struct {
		name        string
		files       string // names, a content may follow
		readOnly    string // one of them, "." for all
		memory, cpu int    // that are left of 100 and 10
		notice      string
	}{
		{"v2", "cgroup.controllers=cpuset cpu io memory pids cgroup.subtree_control=cpu memory", "cgroup.subtree_control", 100, 10, ""},
		{"v2 that is off", "cgroup.controllers=cpu memory cgroup.subtree_control=", "", 100, 10, ""},
		{"v2 that stays off", "cgroup.controllers=cpu memory cgroup.subtree_control=cpu", "cgroup.subtree_control", 0, 10, "control of memory below "},
		{"v2 in a container", "cgroup.controllers=cpu memory cgroup.subtree_control= cgroup.type=domain cgroup.procs=1", "", 0, 0, "since processes run in it"},
		{"v2 in a container without processes", "cgroup.controllers=cpu memory cgroup.subtree_control= cgroup.type=domain cgroup.procs=", "", 100, 10, ""},
		{"v2 of threads", "cgroup.controllers=cpu cgroup.subtree_control=cpu cgroup.type=domain threaded", "", 0, 0, "only groups of threads"},
		{"v2 without memory", "cgroup.controllers=cpu cgroup.subtree_control=cpu", "", 0, 10, "no control of memory"},
		{"v2 without anything", "cgroup.controllers= cgroup.subtree_control=", "", 0, 0, "no control of cpu"},
		{"v2 that cannot be written", "cgroup.controllers=cpu memory cgroup.subtree_control=cpu memory", ".", 0, 0, "cannot be written: read-only"},
		{"v1", "memory/tasks cpu/tasks", "", 100, 10, ""},
		{"v1 without CPU", "memory/tasks", "", 100, 0, "cpu cannot be written: no such file"},
		{"v1 that cannot be written", "memory/tasks cpu/tasks", ".", 0, 0, "memory cannot be written: read-only"},
		{"nothing", "", "", 0, 0, "memory cannot be written: no such file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var told []string
			l := newLimiter(machine(t, test.files, test.readOnly), func(line string) { told = append(told, line) })
			want := image.Limits{Memory: test.memory, CPU: test.cpu}
			if got := l.held(image.Limits{}); got != (image.Limits{}) || len(told) > 0 {
				t.Errorf("where nothing was asked: %+v, told %q", got, told)
			}
			for range 2 {
				if got := l.held(image.Limits{Memory: 100, CPU: 10}); got != want {
					t.Errorf("held: %+v, want %+v", got, want)
				}
			}
			if all := strings.Join(told, "\n"); (test.notice != "") != (len(told) == 1) || !strings.Contains(all, test.notice) {
				t.Errorf("told: %q, want once %q", told, test.notice)
			}
		})
	}
}

// machine makes a directory of such files.
func machine(t *testing.T, files, readOnly string) string {
	t.Helper()
	dir := t.TempDir()
	last := ""
	for _, word := range strings.Fields(files) {
		name, content, isFile := strings.Cut(word, "=")
		if !isFile && !strings.Contains(word, "/") { // a further word of the content
			name, content = last, content+" "+word
			before, _ := os.ReadFile(filepath.Join(dir, last))
			content = string(before) + content
		}
		last = name
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if readOnly != "" {
		name := filepath.Join(dir, readOnly)
		for _, flags := range []uintptr{syscall.MS_BIND, syscall.MS_BIND | syscall.MS_REMOUNT | syscall.MS_RDONLY} {
			if err := syscall.Mount(name, name, "", flags, ""); err != nil {
				t.Fatal(err)
			}
		}
		t.Cleanup(func() {
			if err := syscall.Unmount(name, syscall.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
	}
	return dir
}
