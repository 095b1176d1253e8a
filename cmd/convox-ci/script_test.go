package main

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/convox-ci/convox-ci/internal/image/buildkit/actionscache/actionscachetest"
)

// TestMain lets this test binary stand in for the real one: run under the name
// convox-ci it is the program itself.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"convox-ci": main})
}

// key is the deploy key of every story. It holds characters that have a meaning
// in URLs, so that it travels in several spellings; none of them may be shown.
const key = "orchid/pale+42%moon@#! fin"

// TestScript runs the user stories.
func TestScript(t *testing.T) { testscript.Run(t, stories(t, "testdata/script")) }

// stories are those of a directory. They build real images, so that the test
// fails where that is not possible: a story that is skipped would tell nobody.
func stories(t *testing.T, dir string) testscript.Params {
	t.Helper()
	if _, err := exec.LookPath("runc"); err != nil || os.Geteuid() != 0 {
		t.Fatal("the stories build images: run them as root on Linux with runc on the PATH (Debian and Ubuntu: apt-get install runc)")
	}
	if _, err := exec.LookPath("git"); err != nil {
		t.Fatal("the stories make checkouts: git has to be on the PATH (Debian and Ubuntu: apt-get install git)")
	}
	program, err := exec.LookPath("convox-ci")
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	build(t, filepath.Join(bin, "tool"), "./testdata/tool")
	build(t, filepath.Join(bin, "hello"), "../../examples/hello")
	build(t, filepath.Join(filepath.Dir(program), "convox-env"), "../convox-env") // where a program that carries none looks for it
	deadline, _ := t.Deadline()
	return testscript.Params{
		Dir:                 dir,
		Deadline:            deadline,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               func(env *testscript.Env) error { return setup(env, bin) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"actionscache": actionsCache,
			"app":          createApp,
			"await":        await,
			"between":      between,
			"deployments":  deployments,
			"drained":      drained,
			"ended":        ended,
			"equal":        equal,
			"example":      example,
			"feed":         feed,
			"filevar":      fileVar,
			"fingerprint":  fingerprint,
			"flood":        flood,
			"front":        front,
			"gate":         gate,
			"github":       github,
			"image":        imageCommand,
			"leftovers":    hasLeftovers,
			"match":        match,
			"opengate":     openGate,
			"outputs":      outputs,
			"parameters":   setParameters,
			"pick":         pick,
			"polled":       polled,
			"rack":         serveRack,
			"settle":       settle,
			"signal":       signalProcess,
			"start":        start,
			"status":       status,
			"variables":    setVariables,
		},
	}
}

func build(t *testing.T, program, source string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-o", program, source)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // there is no libc in an image from scratch
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", source, err, out)
	}
}

// setup gives a story a home and a rack's data of its own, and an environment
// with nothing in it of the machine or the CI system that the test runs on.
func setup(env *testscript.Env, bin string) error {
	program, err := exec.LookPath("convox-ci")
	if err != nil {
		return err
	}
	env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
	env.Setenv("DATA", filepath.Join(env.WorkDir, "data"))
	env.Setenv("DOCKER_HOST", "unix://"+filepath.Join(env.WorkDir, "no-docker.sock")) // the builder under test is the embedded one
	env.Setenv("BIN", filepath.Dir(program))
	env.Setenv("TOOL", filepath.Join(bin, "tool"))
	env.Setenv("HELLO", filepath.Join(bin, "hello"))
	env.Setenv("KEY", key)
	env.Setenv("CONVOX_OUTPUT_FILE", filepath.Join(env.WorkDir, "out.json"))
	for _, who := range []string{"AUTHOR", "COMMITTER"} {
		env.Setenv("GIT_"+who+"_NAME", "Ada")
		env.Setenv("GIT_"+who+"_EMAIL", "ada@example.org")
	}
	s := &story{processes: map[string]*process{}}
	env.Values[storyKey{}] = s
	env.Defer(func() { s.close(env) })
	return os.Mkdir(env.Getenv("HOME"), 0o700)
}

// story is what one story has running.
type story struct {
	processes map[string]*process
	fed       string // what is piped into the next program
	gate      *gateway
	records   *records
	front     *frontServer
	cache     *actionscachetest.Service
}

type storyKey struct{}

func storyOf(ts *testscript.TestScript) *story { return ts.Value(storyKey{}).(*story) }

// close ends what the story left running; nothing of it may outlive the test.
func (s *story) close(env *testscript.Env) {
	if s.gate != nil {
		s.gate.close()
	}
	for _, p := range s.processes {
		p.cmd.Process.Kill()
		<-p.done
	}
	if s.front != nil {
		s.front.close()
	}
	if err := removeLeftovers(env.WorkDir); err != nil {
		env.T().Fatal(err)
	}
}

// example copies the example app, with its program built, to a directory.
func example(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: example DIR")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.CopyFS(dir, os.DirFS("../../examples/hello")))
	ts.Check(os.MkdirAll(filepath.Join(dir, "bin"), 0o755))
	program, err := os.ReadFile(ts.Getenv("HELLO"))
	ts.Check(err)
	ts.Check(os.WriteFile(filepath.Join(dir, "bin", "hello"), program, 0o755))
}

// hasLeftovers tells whether build steps below a directory still run.
func hasLeftovers(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: [!] leftovers DIR")
	}
	ids, err := leftovers(ts.MkAbs(args[0]))
	ts.Check(err)
	if (len(ids) == 0) != neg {
		ts.Fatalf("containers below %s: %q", args[0], ids)
	}
}

// equal compares two texts.
func equal(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: [!] equal TEXT TEXT")
	}
	if (args[0] == args[1]) == neg {
		ts.Fatalf("%q and %q: equal is %v", args[0], args[1], !neg)
	}
}

// pick sets a variable to a text of a JSON object in a file.
func pick(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: pick VARIABLE FILE NAME")
	}
	var values map[string]string
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &values))
	value, ok := values[args[2]]
	if !ok {
		ts.Fatalf("%s has no %s: %v", args[1], args[2], values)
	}
	ts.Setenv(args[0], value)
}

// between prints the lines of a file that stand between two lines.
func between(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: between FILE LINE LINE")
	}
	_, text, first := strings.Cut(ts.ReadFile(args[0]), args[1]+"\n")
	text, _, last := strings.Cut(text, args[2]+"\n")
	if !first || !last {
		ts.Fatalf("%s lacks one of the lines", args[0])
	}
	io.WriteString(ts.Stdout(), text)
}

// match compares a text with a pattern.
func match(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: [!] match PATTERN TEXT")
	}
	pattern, err := regexp.Compile(args[0])
	ts.Check(err)
	if pattern.MatchString(args[1]) == neg {
		ts.Fatalf("%q matches %s: %v", args[1], pattern, neg)
	}
}

// fileVar sets a variable to the text of a file.
func fileVar(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: filevar VARIABLE FILE")
	}
	ts.Setenv(args[0], ts.ReadFile(args[1]))
}
