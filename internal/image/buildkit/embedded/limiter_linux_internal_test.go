package embedded

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/buildkit/solver/pb"
)

// TestWhatCanBeHeld tries machines of all kinds, as they show themselves in files.
func TestWhatCanBeHeld(t *testing.T) {
	for _, test := range []struct {
		name              string
		files             string // names, a content may follow
		readOnly          bool
		memory, swap, cpu int64 // that are left of 100, nothing and 10
		notice            string
	}{
		{"v2", "cgroup.controllers=cpuset cpu io memory pids", false, 100, 0, 10, ""},
		{"v2 that counts what is swapped", "cgroup.controllers=cpu memory some.slice/memory.swap.max", false, 100, 100, 10, ""},
		{"v2 without memory", "cgroup.controllers=cpu", false, 0, 0, 10, "no control of memory"},
		{"v2 without anything", "cgroup.controllers=", false, 0, 0, 0, "no control of cpu"},
		{"v2 that cannot be written", "cgroup.controllers=cpu memory", true, 0, 0, 0, "cannot be written: read-only"},
		{"v1", "memory/tasks cpu/tasks", false, 100, 0, 10, ""},
		{"v1 that counts what is swapped", "memory/memory.memsw.limit_in_bytes cpu/tasks", false, 100, 100, 10, ""},
		{"v1 without CPU", "memory/tasks", false, 100, 0, 0, "cpu cannot be written: no such file"},
		{"v1 that cannot be written", "memory/tasks cpu/tasks", true, 0, 0, 0, "memory cannot be written: read-only"},
		{"nothing", "", false, 0, 0, 0, "memory cannot be written: no such file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			groups := machine(t, test.files, test.readOnly)
			var told []string
			l := newLimiter(nil, groups, func(line string) { told = append(told, line) })
			asked := &pb.LinuxResources{Memory: 100, CpuPeriod: 20, CpuQuota: 10}
			for range 2 {
				if got := l.held(asked); got.Memory != test.memory || got.MemorySwap != test.swap || got.CpuQuota != test.cpu || (got.CpuPeriod != 0) != (test.cpu != 0) {
					t.Errorf("held: %v", got)
				}
			}
			if asked.Memory != 100 || asked.CpuQuota != 10 || asked.MemorySwap != 0 {
				t.Errorf("what was asked became %v", asked)
			}
			if all := strings.Join(told, "\n"); (test.notice != "") != (len(told) == 1) || !strings.Contains(all, test.notice) {
				t.Errorf("told: %q, want once %q", told, test.notice)
			}
			if l.held(nil) != nil {
				t.Error("limits where none were asked")
			}
		})
	}
}

// machine makes a directory of such files.
func machine(t *testing.T, files string, readOnly bool) string {
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
	if readOnly {
		for _, flags := range []uintptr{syscall.MS_BIND, syscall.MS_BIND | syscall.MS_REMOUNT | syscall.MS_RDONLY} {
			if err := syscall.Mount(dir, dir, "", flags, ""); err != nil {
				t.Fatal(err)
			}
		}
		t.Cleanup(func() {
			if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
	}
	return dir
}
