package actions_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/enginetest"
)

// jobTag is the image that act runs jobs in. It needs bash and tail, no node.
const jobTag = "convox-ci/job:test"

// sharedLibrary is a file that the loader names.
var sharedLibrary = regexp.MustCompile(`(/\S+) \(0x`)

// makeJobImage makes an image of the machine's own bash and a static busybox.
func (l *lab) makeJobImage() (string, error) {
	e, err := l.engine()
	if err != nil {
		return "", err
	}
	busybox, err := enginetest.Busybox()
	if err != nil {
		return "", err
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		return "", err
	}
	libraries, err := output(exec.Command("ldd", bash))
	if err != nil {
		return "", err
	}
	files := map[string][]byte{"bin/busybox": busybox}
	if files["bin/bash"], err = os.ReadFile(bash); err != nil {
		return "", err
	}
	for _, m := range sharedLibrary.FindAllStringSubmatch(libraries, -1) {
		if files[strings.TrimPrefix(m[1], "/")], err = os.ReadFile(m[1]); err != nil {
			return "", err
		}
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for name, data := range files {
		if err := errors.Join(w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(data))}), write(w, data)); err != nil {
			return "", err
		}
	}
	for _, applet := range []string{"sh", "tail", "cat", "grep", "env", "mkdir", "chown", "sleep"} {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + applet, Linkname: "busybox"}); err != nil {
			return "", err
		}
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	cmd := e.Command(context.Background(), "import", "-", jobTag)
	cmd.Stdin = &archive
	_, err = output(cmd)
	return jobTag, err
}

func write(w *tar.Writer, data []byte) error {
	_, err := w.Write(data)
	return err
}

// released is the line that a release replaces in every file of an Action.
var released = regexp.MustCompile(`(?m)^  image: .*Dockerfile$`)

// ours are the older actions by what takes their place: the line of a workflow that
// a user changes.
var ours = regexp.MustCompile(`uses: convox/action-(\w+)@v\d+`)

// repository makes a checkout of an app with the Actions in it, as a release has
// them, and a workflow of testdata, in which rack.example.com is the rack.
func repository(t *testing.T, workflow string) string {
	t.Helper()
	dir := tree(t)
	paths, err := filepath.Glob("*/action.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(paths, "../action.yml") {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(released.FindAll(data, -1)) != 1 {
			t.Fatalf("%s has no line of its own for the image", path)
		}
		to := filepath.Join(dir, "actions", path)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, released.ReplaceAll(data, []byte("  image: docker://"+tag)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join("testdata/workflows", workflow))
	if err != nil {
		t.Fatal(err)
	}
	console := need(t, shared.rack).console
	files := map[string]string{
		"ca.pem": string(console.ca),
		workflow: strings.ReplaceAll(ours.ReplaceAllString(string(text), "uses: ./actions/$1"), "rack.example.com", console.host()),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"init", "--quiet"}, {"add", "convox.yml"}, {"-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "--quiet", "--message", "Begin"}} {
		if _, err := output(exec.Command("git", append([]string{"-C", dir}, args...)...)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// act is the runner with a workflow of testdata. All that its jobs are told of the
// machine is the console of the rack.
func act(t *testing.T, workflow string, flags ...string) *exec.Cmd {
	t.Helper()
	need(t, shared.image)
	e, r := need(t, shared.engine), need(t, shared.rack)
	program, err := filepath.Abs("../bin/tools/act")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		t.Fatal("act is missing; make bin/tools/act")
	}
	args := append([]string{"push", "-W", workflow, "-P", "ubuntu-latest=" + need(t, shared.jobImage), "--network", "host", "--container-daemon-socket", "-",
		"--pull=false", "--no-cache-server", "--env", "CONVOX_HOST=" + r.console.host(), "--env", "CONVOX_CA_FILE=ca.pem"}, flags...)
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = repository(t, workflow)
	home := t.TempDir()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "DOCKER_HOST=" + e.Address, "DOCKER_CONFIG=" + home}
	return cmd
}
