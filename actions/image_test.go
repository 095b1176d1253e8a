package actions_test

import (
	"bufio"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// step is a container as a runner starts one: the workspace and the files that the
// step may write to are mounted, the inputs are variables.
type step struct {
	workspace, files string // directories
	env              map[string]string
	flags            []string // more for docker run
}

// newStep is a step on the rack, for an app of its own.
func newStep(t *testing.T, app string) *step {
	t.Helper()
	need(t, shared.image)
	r := need(t, shared.rack)
	r.run(t, "apps", "create", app)
	s := &step{workspace: tree(t), files: t.TempDir(), env: map[string]string{
		"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": "/files/output", "GITHUB_ENV": "/files/env", "GITHUB_STATE": "/files/state",
		"INPUT_RACK-URL": r.url, "INPUT_APP": app,
	}}
	for _, name := range []string{"output", "env", "state"} {
		if err := os.WriteFile(filepath.Join(s.files, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
		os.Chmod(filepath.Join(s.files, name), 0o666) // of any user, whatever the umask
	}
	return s
}

// args are those of docker run.
func (s *step) args(command ...string) []string {
	args := []string{"run", "--network", "host", "--workdir", "/github/workspace",
		"--volume", s.workspace + ":/github/workspace", "--volume", s.files + ":/files"}
	for _, name := range slices.Sorted(maps.Keys(s.env)) {
		args = append(args, "--env", name+"="+s.env[name])
	}
	return append(append(append(args, s.flags...), tag), command...)
}

// run runs the step, which must succeed, and returns what it printed.
func (s *step) run(t *testing.T, command ...string) string {
	t.Helper()
	return docker(t, append([]string{s.args()[0], "--rm"}, s.args(command...)[1:]...)...)
}

// start starts the step in the background, and returns its container when it has
// printed a line.
func (s *step) start(t *testing.T, line string) (container string) {
	t.Helper()
	container = strings.TrimSpace(docker(t, append([]string{s.args()[0], "--detach"}, s.args()[1:]...)...))
	cmd := need(t, shared.engine).Command(t.Context(), "logs", "--follow", container)
	said, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer stop(cmd)
	late := time.AfterFunc(patience, func() { stop(cmd) })
	defer late.Stop()
	var all []string
	for lines := bufio.NewScanner(said); lines.Scan(); {
		if strings.Contains(lines.Text(), line) {
			return container
		}
		all = append(all, lines.Text())
	}
	t.Fatalf("it did not say %q:\n%s", line, strings.Join(all, "\n"))
	return ""
}

// masks are the lines that tell the runner what to hide.
var masks = regexp.MustCompile(`(?m)^::add-mask::.*\n`)

// says is run, and returns what of that is shown.
func (s *step) says(t *testing.T, command ...string) string {
	t.Helper()
	return shown(t, s.run(t, command...))
}

// shown is a log as the runner shows it, which must be without the key.
func shown(t *testing.T, log string) string {
	t.Helper()
	said := masks.ReplaceAllString(log, "")
	if strings.Contains(said, key) {
		t.Errorf("the key is shown: %q", said)
	}
	return said
}

// values reads a file that the step has written to as the runner does: the last
// of equal names counts.
func (s *step) values(t *testing.T, file string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(s.files, file))
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for text := string(data); text != ""; {
		head, rest, _ := strings.Cut(text, "\n")
		name, end, ok := strings.Cut(head, "<<")
		value, after, closed := strings.Cut("\n"+rest, "\n"+end+"\n")
		if !ok || !closed {
			t.Fatalf("%s: wrong line %q", file, head)
		}
		values[name], text = strings.TrimPrefix(value, "\n"), after
	}
	return values
}

// TestInputsReachTheImage: those with a hyphen, and those by an older name.
func TestInputsReachTheImage(t *testing.T) {
	t.Parallel()
	s := newStep(t, "inputs")
	s.env["INPUT_BUILDARGS"] = "COLOUR=plum"
	if log := s.run(t); !strings.Contains(log, "rake build was run, COLOUR is plum") {
		t.Fatalf("the build said:\n%s", log)
	}
	got := s.values(t, "env")
	if out := s.values(t, "output"); got["RELEASE"] == "" || got["RELEASE"] != out["release"] || got["BUILD"] != out["build"] {
		t.Errorf("later steps get %v, outputs are %v", got, out)
	}
	if state := s.values(t, "state"); state["build"] != "" {
		t.Errorf("%v is remembered of a build that has ended", state)
	}
	const cached = " CACHED\n"
	if log := s.run(t); !strings.Contains(log, cached) {
		t.Errorf("nothing came from the cache:\n%s", log)
	}
	for _, input := range []string{"INPUT_NO-CACHE=true", "INPUT_NO_CACHE=true", "INPUT_CACHED=false"} {
		s.flags = []string{"--env", input}
		if log := s.run(t); strings.Contains(log, cached) {
			t.Errorf("%s: from the cache:\n%s", input, log)
		}
	}
}

// TestStopped: a container that is told to end does so in the time that runners
// give it, with its outputs written and its build ended.
func TestStopped(t *testing.T) {
	t.Parallel()
	s := newStep(t, "stopped")
	s.env["INPUT_BUILD-ARGS"], s.env["INPUT_MANIFEST"] = "GATE="+openGate(t).Addr().String(), "hold.yml"
	container := s.start(t, "holding")
	docker(t, "stop", "--time", "9", container)
	log := docker(t, "logs", container)
	if status := docker(t, "inspect", "--format", "{{.State.ExitCode}}", container); status != "143\n" {
		t.Errorf("exit status %s\n%s", status, log)
	}
	out := s.values(t, "output")
	if out["status"] != "cancelled" || out["build"] == "" || s.values(t, "state")["build"] != "" {
		t.Errorf("outputs %v, remembered %v", out, s.values(t, "state"))
	}
	need(t, shared.rack).wasCancelled(t, "stopped", out["build"])
}

// TestInterrupted: who cancels a job on GitHub interrupts the docker command, which
// hands that on.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	s := newStep(t, "interrupted")
	s.env["INPUT_BUILD-ARGS"], s.env["INPUT_MANIFEST"] = "GATE="+openGate(t).Addr().String(), "hold.yml"
	cmd := need(t, shared.engine).Command(t.Context(), s.args()...)
	said, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer late.Stop()
	var all []string
	for lines := bufio.NewScanner(said); lines.Scan(); {
		all = append(all, lines.Text())
		if strings.HasSuffix(lines.Text(), " holding") {
			cmd.Process.Signal(os.Interrupt)
		}
	}
	cmd.Wait()
	log := strings.Join(all, "\n")
	if status := cmd.ProcessState.ExitCode(); status != 130 || !strings.Contains(log, "was cancelled on the rack") || s.values(t, "output")["status"] != "cancelled" {
		t.Errorf("exit status %d\n%s", status, log)
	}
}

// TestKilled: what a step that was killed has left behind is ended by the last
// stage, which has the same inputs. It never fails.
func TestKilled(t *testing.T) {
	t.Parallel()
	s := newStep(t, "killed")
	s.env["INPUT_BUILD-ARGS"], s.env["INPUT_MANIFEST"] = "GATE="+openGate(t).Addr().String(), "hold.yml"
	docker(t, "kill", s.start(t, "holding"))
	build := s.values(t, "state")["build"]
	r := need(t, shared.rack)
	if info := r.run(t, "builds", "info", build, "--app", "killed"); !strings.Contains(info, "running") {
		t.Fatalf("after the end of its step:\n%s", info)
	}
	if said := s.post(t); said != "" {
		t.Errorf("without anything remembered: %q", said)
	}
	s.env["STATE_build"] = build
	want := "::warning title=Convox::build " + build + " was still running when its step had ended; it was cancelled\n"
	if said := s.post(t); said != want {
		t.Errorf("it says %q", said)
	}
	r.wasCancelled(t, "killed", build)
	if said := s.post(t); said != "" {
		t.Errorf("of a build that has ended: %q", said)
	}
	s.env["INPUT_RACK-URL"] = "http://convox:" + key + "@127.0.0.1:1"
	if said := s.post(t); !regexp.MustCompile(`(?m)^::warning title=Convox::.*connection refused`).MatchString(said) {
		t.Errorf("without a rack: %q", said)
	}
}

// post runs the last stage, which must succeed, and returns what it printed. That it
// is in the image is for TestCancelled to say.
func (s *step) post(t *testing.T) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), need(t, shared.rack).program)
	cmd.Args, cmd.Dir, cmd.Env = []string{"convox-ci-post"}, s.workspace, []string{}
	for name, value := range s.env {
		cmd.Env = append(cmd.Env, name+"="+strings.Replace(value, "/files/", s.files+"/", 1))
	}
	said, err := output(cmd)
	if err != nil {
		t.Fatal(err)
	}
	return shown(t, said)
}

// TestConfined: nothing is written but what was asked for, and no user is needed.
func TestConfined(t *testing.T) {
	t.Parallel()
	s := newStep(t, "confined")
	s.flags = []string{"--read-only", "--user", "4711:4712", "--cap-drop", "ALL"}
	s.env["INPUT_ACTION"] = "deploy"
	log := s.run(t)
	if out := s.values(t, "output"); out["promoted"] != "true" {
		t.Errorf("outputs %v\n%s", out, log)
	}
}

// TestShell: where a CI system puts a shell in the place of the program, that is
// found on the path, and so is what runners on Kubernetes want.
func TestShell(t *testing.T) {
	t.Parallel()
	s := newStep(t, "shell")
	s.flags = []string{"--entrypoint", "sh", "--env", "CONVOX_RACK_URL=" + s.env["INPUT_RACK-URL"]} // sh loses the input with a hyphen
	said := s.says(t, "-c", "convox-ci apps && env | tail -n 1 && echo ended")
	if !regexp.MustCompile(`(?s)shell +running.*=.*\nended\n$`).MatchString(said) {
		t.Errorf("it says %q", said)
	}
}

// TestEntrypoint: the script hands every input on, which other shells would not.
func TestEntrypoint(t *testing.T) {
	t.Parallel()
	env, err := exec.LookPath("env")
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(env, filepath.Join(bin, "convox-ci")); err != nil { // which prints what it was handed
		t.Fatal(err)
	}
	for shell, keeps := range map[string]bool{"bash": true, "dash": false} {
		cmd := exec.Command(shell, "../entrypoint.sh")
		cmd.Env = []string{"PATH=" + bin, "INPUT_NO-CACHE=true", "INPUT_APP=shop"}
		got, err := output(cmd)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(got, "INPUT_NO-CACHE=true\n") != keeps || !strings.Contains(got, "INPUT_APP=shop\n") {
			t.Errorf("%s hands on:\n%s", shell, got)
		}
	}
}
