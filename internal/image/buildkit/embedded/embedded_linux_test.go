package embedded_test

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/convox-ci/convox-ci/internal/image/buildkit/embedded"
)

// random is a Dockerfile whose image is another each time it is really built.
const random = "FROM scratch\nCOPY step /step\nRUN [\"/step\", \"random\", \"/random\"]\n"

func TestCacheOutlivesTheDaemon(t *testing.T) {
	root := t.TempDir()
	first := start(t, embedded.Options{Root: root})
	_, one := first.mustBuild(t, random)
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
	log, two := start(t, embedded.Options{Root: root}).mustBuild(t, random)
	if one != two || one == "" {
		t.Errorf("image is %s, and before the restart %s:\n%s", two, one, log)
	}
	if strings.Count(log, "CACHED") != 2 {
		t.Errorf("not both steps come from the cache:\n%s", log)
	}
}

func TestCacheMountAndHeredoc(t *testing.T) {
	b := start(t, embedded.Options{Root: t.TempDir()})
	dockerfile := "FROM scratch\nCOPY step /step\nCOPY <<END /text\nof two\nlines\nEND\n" +
		"RUN --mount=type=cache,target=/cache [\"/step\", \"grow\", \"/cache/bytes\"]\n"
	log, _ := b.mustBuild(t, dockerfile)
	if !strings.Contains(log, "grown to 1\n") {
		t.Errorf("the first step does not begin with an empty cache:\n%s", log)
	}
	log, _ = b.mustBuild(t, strings.Replace(dockerfile, "of two", "of 2", 1)) // so that the step is run again
	if !strings.Contains(log, "grown to 2\n") {
		t.Errorf("the second step does not find what the first kept:\n%s", log)
	}
}

// TestClose closes a daemon while a step runs.
func TestClose(t *testing.T) {
	gate, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer gate.Close()
	gate.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	root := t.TempDir()
	b := start(t, embedded.Options{Root: root})
	s := spec(t, source(t, "FROM scratch\nCOPY step /step\nARG GATE\nRUN [\"/step\", \"gate\", \"GATE\"]\n"))
	s.Args = []string{"GATE=" + gate.Addr().String()}
	done := make(chan error, 1)
	go func() { done <- b.Build(t.Context(), s, io.Discard) }()
	step, err := gate.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer step.Close()
	if err := b.daemon.Close(); err != nil {
		t.Error(err)
	}
	step.SetDeadline(time.Now().Add(patience))
	if n, err := step.Read(make([]byte, 1)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the step still runs: %v", err)
	}
	select {
	case err := <-done:
		if err == nil {
			t.Error("the build that was cut off has no error")
		}
	case <-time.After(patience):
		t.Error("the build does not end")
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), root) {
		t.Errorf("mounts are left:\n%s", mounts)
	}
	b.close = func() error { return b.Builder.Close() }
	start(t, embedded.Options{Root: root}).mustBuild(t, random) // which waits for the databases
}

func TestStartAgainAfterAFault(t *testing.T) {
	root := t.TempDir()
	obstacle := filepath.Join(root, "cache.db")
	if err := os.Mkdir(obstacle, 0o700); err != nil {
		t.Fatal(err)
	}
	// A mount, for BuildKit puts aside what it cannot open, but not that.
	if err := syscall.Mount(obstacle, obstacle, "", syscall.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer syscall.Unmount(obstacle, 0)
	if _, err := embedded.Start(t.Context(), embedded.Options{Root: root}); err == nil || errors.Is(err, embedded.ErrUnsupported) {
		t.Fatalf("error is %v, want one about cache.db", err)
	}
	if err := syscall.Unmount(obstacle, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	start(t, embedded.Options{Root: root}).mustBuild(t, random)
}

func TestUnsupportedWithoutRunc(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := embedded.Start(t.Context(), embedded.Options{Root: t.TempDir()})
	if !errors.Is(err, embedded.ErrUnsupported) || !strings.Contains(err.Error(), "apt-get install runc") {
		t.Errorf("error is %v, want one that says how to get runc", err)
	}
}

// TestUnsupportedWithoutRights starts daemons in user namespaces: as nobody, and
// as a root that may not mount.
func TestUnsupportedWithoutRights(t *testing.T) {
	root := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}}
	for want, as := range map[string][]syscall.SysProcIDMap{
		"the embedded BuildKit cannot run here: it needs to run as root":            nil,
		"the embedded BuildKit cannot run here: it needs the right to mount, which": root,
	} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), startHere+"="+t.TempDir())
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: as, GidMappings: as}
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(out), want) {
			t.Errorf("start says %q, want %q", out, want)
		}
	}
}
