package buildkit_test

import (
	"archive/tar"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/image/buildkit"
)

// TestDaemonInAContainer builds with a daemon that is reached through a container of
// Docker's, as that of docker/setup-buildx-action is. In it stands a program of the
// tests for buildctl, and the daemon is the one that all tests share.
func TestDaemonInAContainer(t *testing.T) {
	e, err := shared.engine()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	daemonAt(t, dir)
	run := inDocker(t)
	run("buildx_buildkit_ci0", "/bin/buildctl", "--volume", dir+":/run/buildkit")
	run("lonely", "/bin/buildctl")
	run("bare", "/bin/other")

	name, ok := buildkit.ContainerOf("docker-container://buildx_buildkit_ci0")
	if !ok {
		t.Fatal("the name of a container is not seen")
	}
	c, err := buildkit.DialContainer(t.Context(), e.Address, nil, name)
	if err != nil {
		t.Fatal(err)
	}
	b := buildkit.New(c)
	defer b.Close()
	large := strings.Repeat("a text that needs many frames\n", 100_000)
	img, _ := mustBuild(t, b, spec(t, source(t, map[string]string{"Dockerfile": "COPY text /text\n", "text": large})))
	if got := contents(t, img)["text"]; got != large {
		t.Errorf("file has %d bytes, want %d", len(got), len(large))
	}

	for container, want := range map[string]string{
		"none":   "docker: POST /containers/none/exec: No such container: none",
		"lonely": "buildctl dial-stdio in the container lonely: dial unix /run/buildkit/sock: connect: no such file or directory",
		"bare":   `buildctl dial-stdio in the container bare: OCI runtime exec failed: exec failed: `,
	} {
		if c, err := buildkit.DialContainer(t.Context(), e.Address, nil, container); err == nil {
			c.Close()
			t.Errorf("%s: no error", container)
		} else if !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: error %q, want %q", container, err, want)
		}
	}
	if _, err := buildkit.DialContainer(t.Context(), "docker:2375", nil, name); err == nil {
		t.Error("an address of no engine is taken")
	}
}

func TestContainerOf(t *testing.T) {
	for address, want := range map[string]string{"docker-container://a": "a", "docker-container://": "", "docker-container://a/b": "", "docker-container://../x": "",
		"docker-container://-a": "", "unix:///a": "", "docker-container:a": ""} {
		if name, ok := buildkit.ContainerOf(address); ok != (want != "") || ok && name != want {
			t.Errorf("%s: %q, %v", address, name, ok)
		}
	}
}

// inDocker gives a function that starts a container in which a program waits that
// does what the program of the tests does.
func inDocker(t *testing.T) (run func(name, program string, flags ...string)) {
	t.Helper()
	e, err := shared.engine()
	if err != nil {
		t.Fatal(err)
	}
	step, err := shared.step()
	if err != nil {
		t.Fatal(err)
	}
	docker := func(args ...string) *exec.Cmd { return e.Command(t.Context(), args...) }
	must := func(cmd *exec.Cmd) {
		t.Helper()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", cmd.Args, err, out)
		}
	}
	return func(name, program string, flags ...string) {
		t.Helper()
		load := docker("import", "-", name)
		load.Stdin = bytes.NewReader(archiveOf(t, step, program))
		must(load)
		t.Cleanup(func() {
			e.Command(context.Background(), "rm", "--force", name).Run()
			if out, err := e.Command(context.Background(), "rmi", name).CombinedOutput(); err != nil {
				t.Errorf("the image of %s stays: %v\n%s", name, err, out)
			}
		})
		must(docker(append(append([]string{"run", "--detach", "--network", "none", "--name", name}, flags...), name, program, "wait")...))
	}
}

// archiveOf is a file system with one program in it.
func archiveOf(t *testing.T, program, at string) []byte {
	t.Helper()
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: strings.TrimPrefix(filepath.Clean(at), "/"), Mode: 0o755, Size: int64(len(data)), Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
