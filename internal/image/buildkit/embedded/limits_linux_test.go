package embedded_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/image/buildkit/embedded"
)

// TestLimitsOfAStep looks at what the kernel was told of a step while it runs.
// That it holds to it, a story of the whole program shows.
func TestLimitsOfAStep(t *testing.T) {
	gate, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer gate.Close()
	gate.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	root := t.TempDir()
	b := start(t, embedded.Options{Root: root, Notice: func(line string) { t.Error(line) }})
	s := spec(t, source(t, "FROM scratch\nCOPY step /step\nARG GATE\nRUN [\"/step\", \"gate\", \"GATE\"]\n"))
	s.Args, s.Limits = []string{"GATE=" + gate.Addr().String()}, image.Limits{CPU: 256, Memory: 48}
	done := make(chan error, 1)
	go func() { done <- b.Build(t.Context(), s, io.Discard) }()
	step, err := gate.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer step.Close()
	groups := groupsOf(t, root)
	for _, file := range []struct{ resource, v1, v2, want string }{
		{"memory", "memory.limit_in_bytes", "memory.max", fmt.Sprint(48 << 20)},
		{"cpu", "cpu.cfs_quota_us", "cpu.max", "25000"},
	} {
		name, in := filepath.Join("/sys/fs/cgroup", file.resource, groups[file.resource], file.v1), groups[file.resource]
		if in == "" {
			name = filepath.Join("/sys/fs/cgroup", groups[""], file.v2)
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
		} else if strings.Fields(string(got))[0] != file.want {
			t.Errorf("%s is %s, want %s", name, got, file.want)
		}
	}
	step.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// groupsOf are the groups of the one container below a directory: by resource, or
// under the empty name where all resources have one group.
func groupsOf(t *testing.T, root string) map[string]string {
	t.Helper()
	out, err := exec.Command("runc", "list", "--format", "json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		Pid    int
		Bundle string
	}
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatal(err)
	}
	groups := map[string]string{}
	for _, c := range all {
		if !strings.HasPrefix(c.Bundle, root+"/") {
			continue
		}
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", c.Pid))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
			for resource := range strings.SplitSeq(parts[1], ",") {
				groups[resource] = parts[2]
			}
		}
	}
	if len(groups) == 0 {
		t.Fatalf("no container below %s: %s", root, out)
	}
	return groups
}

// TestFastSteps has a step print faster, and more, than BuildKit keeps by itself.
func TestFastSteps(t *testing.T) {
	b := start(t, embedded.Options{Root: t.TempDir()})
	const lines = 60_000
	log, _ := b.mustBuild(t, fmt.Sprintf("FROM scratch\nCOPY step /step\nRUN [\"/step\", \"lines\", \"%d\"]\n", lines))
	at := 0
	for line := range strings.Lines(log) {
		if _, text, ok := strings.Cut(line, " this is line "); ok {
			if at++; text != fmt.Sprintf("%d of very many of them\n", at) {
				t.Fatalf("line %d is %q", at, line)
			}
		}
	}
	if at != lines {
		t.Errorf("%d lines, want %d; the log ends with %q", at, lines, log[max(0, len(log)-300):])
	}
}
