package orb_test

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/convox-ci/convox-ci/internal/app"
)

// TestMain lets this test binary stand in for the real one: run under the name
// convox-ci it is the program itself.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"convox-ci": program})
}

// program is main of cmd/convox-ci, with which it shares all but the second signal.
func program() {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { cancel(app.Signal((<-signals).(syscall.Signal))) }()
	os.Exit(app.Main(ctx, os.Args[1:], os.Environ(), app.Streams{Out: os.Stdout, Err: os.Stderr}))
}

// key is the deploy key of every story. It holds characters that have a meaning in
// URLs and in shells; it may never be shown.
const key = "or'chid/pale+42%moon@#! $fin"

// TestScript runs the stories of the orb: its jobs and commands, compiled, under
// bash and in the environment that CircleCI gives them. Builds are real.
func TestScript(t *testing.T) {
	if _, err := exec.LookPath("runc"); err != nil || os.Geteuid() != 0 {
		t.Fatal("the stories build images: run them as root on Linux with runc on the PATH (Debian and Ubuntu: apt-get install runc)")
	}
	for _, program := range []string{"bash", "busybox", "curl", "wget"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("the stories need %s on the PATH (Debian and Ubuntu: apt-get install bash busybox-static curl wget)", program)
		}
	}
	tool := filepath.Join(t.TempDir(), "tool")
	cmd := exec.Command("go", "build", "-o", tool, "../cmd/convox-ci/testdata/tool")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // there is no libc in an image from scratch
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	orb := packed(t)
	deadline, _ := t.Deadline()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		Deadline:            deadline,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               func(env *testscript.Env) error { return setup(env, tool, orb) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"console":  console,
			"job":      func(ts *testscript.TestScript, neg bool, args []string) { carryOut(ts, "job", neg, args) },
			"command":  func(ts *testscript.TestScript, neg bool, args []string) { carryOut(ts, "command", neg, args) },
			"rack":     serveRack,
			"released": release,
			"written":  written,
		},
	})
}

// setup gives a story what a job on CircleCI has, and nothing of the machine.
func setup(env *testscript.Env, tool string, orb map[string]any) error {
	program, err := exec.LookPath("convox-ci")
	if err != nil {
		return err
	}
	scripts, err := filepath.Abs(filepath.Join("src", "scripts"))
	if err != nil {
		return err
	}
	for name, value := range map[string]string{
		"SCRIPTS":                 scripts,
		"HOME":                    filepath.Join(env.WorkDir, "home"),
		"DATA":                    filepath.Join(env.WorkDir, "data"),
		"DOCKER_HOST":             "unix://" + filepath.Join(env.WorkDir, "no-docker.sock"), // the builder under test is the embedded one
		"BIN":                     filepath.Dir(program),
		"TOOL":                    tool,
		"KEY":                     key,
		"CIRCLECI":                "true",
		"CIRCLE_SHA1":             "0123456789abcdef0123456789abcdef01234567",
		"CIRCLE_PROJECT_REPONAME": "shop",
		"BASH_ENV":                filepath.Join(env.WorkDir, "bash.env"),
		"CONVOX_CI_INSTALLED":     program, // the step install has nothing to do, but in its own story
	} {
		env.Setenv(name, value)
	}
	s := &story{orb: orb}
	env.Values[storyKey{}] = s
	env.Defer(s.close)
	return os.Mkdir(env.Getenv("HOME"), 0o700)
}

// story is what one story has running.
type story struct {
	orb   map[string]any
	ended []func() // in reverse order
}

type storyKey struct{}

func storyOf(ts *testscript.TestScript) *story { return ts.Value(storyKey{}).(*story) }

func (s *story) close() {
	for _, end := range s.ended {
		defer end()
	}
}
