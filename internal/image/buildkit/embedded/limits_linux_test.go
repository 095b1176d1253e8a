package embedded_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/image/buildkit/embedded"
)

// limits are some that the steps of the tests can live with.
var limits = image.Limits{CPU: 256, Memory: 96}

// gate is where steps wait for a test.
type gate struct {
	net.Listener
	t *testing.T
}

func newGate(t *testing.T) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	l.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	return &gate{l, t}
}

// wait waits for a step to come, which goes on when pass is called.
func (g *gate) wait() (pass func()) {
	g.t.Helper()
	conn, err := g.Accept()
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { conn.Close() })
	return func() { conn.Close() }
}

// arg is the build argument NAME with the gate's address.
func (g *gate) arg(name string) string { return name + "=" + g.Addr().String() }

// waiting is a Dockerfile with a step that waits at GATE.
const waiting = "FROM scratch\nCOPY step /step\nARG GATE\nRUN [\"/step\", \"gate\", \"GATE\"]\n"

// run builds in the background.
func (b *bench) run(ctx context.Context, s image.Spec, log io.Writer) <-chan error {
	done := make(chan error, 1)
	go func() { done <- b.Build(ctx, s, log) }()
	return done
}

// TestLimitsOfABuild looks at what the kernel was told of a build while it runs, and
// that nothing is left of it then.
func TestLimitsOfABuild(t *testing.T) {
	root, g := t.TempDir(), newGate(t)
	b := start(t, embedded.Options{Root: root, Notice: func(line string) { t.Error(line) }})
	s := spec(t, source(t, waiting))
	s.Args, s.Limits = []string{g.arg("GATE")}, limits
	done := b.run(t.Context(), s, io.Discard)
	pass := g.wait()
	of := groupsOf(t, root)
	for _, file := range []struct{ resource, v1, v2, want string }{
		{"memory", "memory.limit_in_bytes", "memory.max", fmt.Sprint(96 << 20)},
		{"memory", "memory.memsw.limit_in_bytes", "memory.swap.max", ""},
		{"cpu", "cpu.cfs_quota_us", "cpu.max", "25000"},
	} {
		if got := told(t, of, file.resource, file.v1, file.v2); file.want != "" && got != file.want {
			t.Errorf("%s or %s is %s, want %s", file.v1, file.v2, got, file.want)
		} else if file.want == "" && got != "" && got != "0" && got != fmt.Sprint(96<<20) { // where memory is swapped out at all
			t.Errorf("%s or %s is %s, want as much as of memory", file.v1, file.v2, got)
		}
	}
	pass()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if left := groupsBelow(t, of); len(left) != 0 {
		t.Errorf("groups of the build are left: %q", left)
	}
	if err := b.close(); err != nil {
		t.Error(err)
	}
	if left := leftOf(t, of); len(left) != 0 {
		t.Errorf("groups of the daemon are left: %q", left)
	}
}

// TestStagesTogether builds two stages at once, each of which needs less memory than
// the limit.
func TestStagesTogether(t *testing.T) {
	const dockerfile = "FROM scratch AS base\nCOPY step /step\nARG GATE\n" +
		"FROM base AS one\nRUN [\"/step\", \"fill\", \"64\", \"GATE\", \"/one\"]\n" +
		"FROM base AS two\nRUN [\"/step\", \"fill\", \"64\", \"GATE\", \"/two\"]\n" +
		"FROM scratch\nCOPY --from=one /one /\nCOPY --from=two /two /\n"
	for _, test := range []struct {
		name   string
		limits image.Limits
		want   string
	}{
		{"less than both need", image.Limits{Memory: 96}, ": a step is killed when the build needs more memory than its limit of 96 MB"},
		{"as much as both need", image.Limits{Memory: 192}, ""},
		{"no limit", image.Limits{}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, g := start(t, embedded.Options{Root: t.TempDir()}), newGate(t)
			s := spec(t, source(t, dockerfile))
			s.Args, s.Limits = []string{g.arg("GATE")}, test.limits
			var log bytes.Buffer
			done := b.run(t.Context(), s, &log)
			var both sync.WaitGroup
			both.Add(2)
			go func() { // the build may end before both have come
				for range 2 {
					if conn, err := g.Accept(); err == nil {
						defer conn.Close()
						both.Done()
					}
				}
			}()
			err := <-done
			if (err == nil) != (test.want == "") || err != nil && !strings.HasSuffix(err.Error(), test.want) {
				t.Errorf("error is %v, want one that ends with %q\n%s", err, test.want, log.String())
			}
			if err == nil {
				both.Wait()
			}
		})
	}
}

// TestCacheWithoutRegardToLimits: what a build under limits has done, one under
// others or none finds.
func TestCacheWithoutRegardToLimits(t *testing.T) {
	b := start(t, embedded.Options{Root: t.TempDir()})
	s := spec(t, source(t, random))
	for i, l := range []image.Limits{limits, {Memory: 64}, {}, limits} {
		s.Limits, s.Layout = l, filepath.Join(t.TempDir(), "layout")
		var log strings.Builder
		if err := b.Build(t.Context(), s, &log); err != nil {
			t.Fatal(err)
		}
		if cached := strings.Count(log.String(), "CACHED"); (i == 0) != (cached == 0) || i > 0 && cached != 2 {
			t.Errorf("%d steps of build %d come from the cache:\n%s", cached, i, log.String())
		}
	}
}

// TestCancelledUnderLimits: nothing is left of a build that was broken off, and of
// one that the end of the daemon cut off.
func TestCancelledUnderLimits(t *testing.T) {
	for _, name := range []string{"cancelled", "cut off"} {
		t.Run(name, func(t *testing.T) {
			root, g := t.TempDir(), newGate(t)
			b := start(t, embedded.Options{Root: root})
			s := spec(t, source(t, waiting))
			s.Args, s.Limits = []string{g.arg("GATE")}, limits
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := b.run(ctx, s, io.Discard)
			g.wait()
			of := groupsOf(t, root)
			if name == "cancelled" {
				cancel()
				<-done
			}
			if err := b.close(); err != nil {
				t.Error(err)
			}
			if left := leftOf(t, of); len(left) != 0 {
				t.Errorf("groups are left: %q", left)
			}
		})
	}
}

// TestKilledUnderLimits has another process build, which is killed. Its step, and so
// its group, stay until they are swept.
func TestKilledUnderLimits(t *testing.T) {
	root, g := t.TempDir(), newGate(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), startHere+"="+root, buildHere+"="+source(t, waiting), "GATE="+g.Addr().String())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g.wait()
	of := groupsOf(t, root)
	cmd.Process.Kill()
	cmd.Wait()
	if err := start(t, embedded.Options{Root: root}).close(); err != nil { // for which the step is no concern
		t.Error(err)
	}
	if len(groupsBelow(t, of)) == 0 {
		t.Error("the group of a step that may run is gone")
	}
	b := start(t, embedded.Options{Root: root, Sweep: true})
	if left := groupsBelow(t, of); len(left) != 0 {
		t.Errorf("groups are left: %q", left)
	}
	b.mustBuild(t, random)
}

// TestSharedStep looks at the group of a step that two builds need, which is not run
// in the lower limits.
func TestSharedStep(t *testing.T) {
	program, err := step()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	host := serve(t)
	push(t, host+"/own/base:1", "step", data, v1.Config{})
	dockerfile := "FROM " + host + "/own/base:1\nARG FIRST\nARG SECOND\n" +
		"RUN [\"/step\", \"gate\", \"FIRST\"]\nRUN [\"/step\", \"gate\", \"SECOND\"]\n"
	for _, test := range []struct {
		name string
		of   [2]image.Limits
		want int // MB of the group, 0 if the step is in none
	}{
		{"two limits", [2]image.Limits{{Memory: 48}, {Memory: 96}}, 96},
		{"two limits, turned", [2]image.Limits{{Memory: 96}, {Memory: 48}}, 96},
		{"one limit", [2]image.Limits{{Memory: 48}, {}}, 0},
		{"one limit, turned", [2]image.Limits{{}, {Memory: 48}}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			root, first, second := t.TempDir(), newGate(t), newGate(t)
			b := start(t, embedded.Options{Root: root})
			var done [2]<-chan error
			var pass func()
			for i, l := range test.of {
				s := spec(t, source(t, dockerfile))
				s.Args, s.Limits = []string{first.arg("FIRST"), second.arg("SECOND")}, l
				log := &watcher{text: "at the gate", seen: make(chan struct{})}
				done[i] = b.run(t.Context(), s, log)
				if i == 0 {
					pass = first.wait()
				}
				<-log.seen // the other has come to share the step
			}
			pass()
			pass = second.wait()
			of := groupsOf(t, root)
			if want := fmt.Sprint(test.want << 20); test.want == 0 {
				if strings.Contains(fmt.Sprint(of), "convox-ci") {
					t.Errorf("the step is in the groups %q, want none with limits", of)
				}
			} else if got := told(t, of, "memory", "memory.limit_in_bytes", "memory.max"); got != want {
				t.Errorf("limit of the memory is %s, want %s", got, want)
			}
			pass()
			for _, done := range done {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			if left := groupsBelow(t, of); len(left) != 0 {
				t.Errorf("groups are left: %q", left)
			}
		})
	}
}

// watcher closes seen once a text was written.
type watcher struct {
	text string
	seen chan struct{}
	all  strings.Builder
	once sync.Once
}

func (w *watcher) Write(p []byte) (int, error) {
	w.all.Write(p)
	if strings.Contains(w.all.String(), w.text) {
		w.once.Do(func() { close(w.seen) })
	}
	return len(p), nil
}

// buildHere names a context that the process of startHere builds under limits.
const buildHere = "EMBEDDED_TEST_BUILD"

// told is the first word of what the group of a build was told, where groupsOf are
// those of a step; "" if there is no such file.
func told(t *testing.T, of map[string]string, resource, v1, v2 string) string {
	t.Helper()
	name := filepath.Join("/sys/fs/cgroup", resource, filepath.Dir(filepath.Dir(of[resource])), v1)
	if of[resource] == "" {
		name = filepath.Join("/sys/fs/cgroup", filepath.Dir(filepath.Dir(of[""])), v2)
	}
	text, err := os.ReadFile(name)
	if os.IsNotExist(err) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(text))[0]
}

// groupsOf are the groups of the one container below a directory: by resource, or
// under the empty name where all resources have one group.
func groupsOf(t *testing.T, root string) map[string]string {
	t.Helper()
	configs, err := filepath.Glob(filepath.Join(root, "runc-*", "executor", "*", "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	groups := map[string]string{}
	for _, config := range configs {
		out, err := exec.Command("runc", "state", filepath.Base(filepath.Dir(config))).Output()
		if err != nil {
			t.Fatal(err)
		}
		var c struct{ Pid int }
		if err := json.Unmarshal(out, &c); err != nil {
			t.Fatal(err)
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
		t.Fatalf("no container below %s", root)
	}
	return groups
}

// leftOf are the directories of the kernel's groups for a daemon, where groupsOf are
// those of a step of its.
func leftOf(t *testing.T, of map[string]string) (dirs []string) {
	t.Helper()
	parents := map[string]bool{}
	for group := range maps.Values(of) {
		if name := strings.Split(group, "/")[1]; strings.HasPrefix(name, "convox-ci-") {
			parents[name] = true
		}
	}
	for name := range parents {
		for _, pattern := range []string{"/sys/fs/cgroup/" + name, "/sys/fs/cgroup/*/" + name} {
			found, err := filepath.Glob(pattern)
			if err != nil {
				t.Fatal(err)
			}
			dirs = append(dirs, found...)
		}
	}
	return dirs
}

// groupsBelow are those of its builds.
func groupsBelow(t *testing.T, of map[string]string) (dirs []string) {
	t.Helper()
	for _, dir := range leftOf(t, of) {
		found, err := filepath.Glob(dir + "/*/cgroup.procs")
		if err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, found...)
	}
	return dirs
}
