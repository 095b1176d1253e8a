package rackd_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/convox-ci/convox-ci/internal/enginetest"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// ended is what a stream of exec says of a command that was run.
func ended(output string, status int) []string {
	return []string{output, fmt.Sprintf("%s%d\n", rack.ExitPrefix, status)}
}

// refused is what it says of one that was not.
func refused(message string) []string {
	return []string{"", rack.ExitPrefix + "126\n", "ERROR: " + message + "\n"}
}

func (m *machine) wantMessages(what string, got, want []string) {
	m.Helper()
	if d := cmp.Diff(want, got); d != "" {
		m.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// TestRunAttached goes the way of clients: a container that sleeps, a command in
// it, and its end.
func TestRunAttached(t *testing.T) {
	m := startRunning(t)
	p := m.begin("one", "sleep 3600")
	want := rack.Process{
		ID: p.ID, App: "web", Command: "sleep 3600", Name: "one", Ports: []string{}, Release: "RAAAAAAAAAA", Started: p.Started, Status: rack.ProcessPending,
		Placement: rack.Placement{Host: "127.0.0.1", Image: m.server.Registry + "/web:one.BAAAAAAAAAA", Instance: "local"},
	}
	if d := cmp.Diff(want, p); d != "" || len(p.ID) != 12 || p.Started.IsZero() {
		t.Errorf("process %s at its start (-want +got):\n%s", p.ID, d)
	}
	want.Status = rack.ProcessRunning
	if d := cmp.Diff(want, m.process(p.ID)); d != "" {
		t.Errorf("process, running (-want +got):\n%s", d)
	}
	for command, want := range map[string][]string{
		"exit 0":                      ended("", 0),
		"echo before; exit 3":         ended("before\n", 3),
		"kill -9 $$":                  ended("", 137),
		"echo out; echo err >&2":      ended("out\nerr\n", 0),
		"pwd; id -u; id -g":           ended("/work\n1001\n1002\n", 0),
		"echo \"$KIND\" $HOME":        ended("image /home/ann\n", 0),
		"no-such-program 2>&1":        ended("sh: no-such-program: not found\n", 127),
		"test -t 0 || echo no":        ended("no\n", 0),
		"echo " + rack.ExitPrefix[1:]: ended(rack.ExitPrefix[1:]+"\n", 0),
	} {
		m.wantMessages(command, m.exec(p.ID, command), want)
	}
	m.want("stop", m.do("DELETE", "/apps/web/processes/"+p.ID, nil, nil), 200, "ok\n")
	m.want("stopped", m.get("/apps/web/processes/"+p.ID), 404, "process not found: "+p.ID+"\n")
	m.want("stop again", m.do("DELETE", "/apps/web/processes/"+p.ID, nil, nil), 500, "could not find process\n")
	m.wantMessages("exec when it is stopped", m.exec(p.ID, "exit 0"), refused("process id not found for web"))
}

func TestEnvironmentOfACommand(t *testing.T) {
	m := startRunning(t)
	p := m.begin("one", "sleep 3600", "Environment", "GIVEN=a+b%26c&RELEASE=mine")
	got := m.exec(p.ID, "env | sort", "Entrypoint", "true")
	env := map[string]string{}
	for line := range strings.Lines(got[0]) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		env[name] = value
	}
	want := map[string]string{
		"KIND": "image", "PATH": "/bin", "HOME": "/home/ann", "OWN": "default", "GLOBAL": "default", "SECRET": "s3cret", "CHANGED": "by the release",
		"APP": "web", "BUILD": "BAAAAAAAAAA", "BUILD_DESCRIPTION": "a build", "BUILD_GIT_SHA": "0123abc", "RACK": "local", "RELEASE": "mine",
		"SERVICE": "one", "GIVEN": "a b&c",
	}
	for _, ofTheShell := range []string{"PWD", "SHLVL", "OLDPWD", "_"} {
		delete(env, ofTheShell)
	}
	if d := cmp.Diff(want, env); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestInputOfACommand(t *testing.T) {
	m := startRunning(t)
	p := m.begin("one", "sleep 3600")
	conn := m.enter(p.ID, "cat > /tmp/all; tr a-z A-Z < /tmp/all; echo end")
	var want strings.Builder
	for i := range 2000 { // more than waits for a command
		piece := strings.Repeat(fmt.Sprintf("line %d\n", i), 100)
		m.must(conn.Write(m.Context(), websocket.MessageText, []byte(piece)))
		want.WriteString(strings.ToUpper(piece))
	}
	m.must(conn.Write(m.Context(), websocket.MessageBinary, []byte("any")))
	m.must(conn.Write(m.Context(), websocket.MessageText, []byte("after the end")))
	if got := m.ending(conn); !slices.Equal(got, ended(want.String()+"end\n", 0)) {
		t.Errorf("%d bytes, then %q", len(got[0]), got[1:])
	}
}

func TestLargeOutputOfACommand(t *testing.T) {
	m := startRunning(t)
	p := m.begin("one", "sleep 3600")
	const lines = 1_000_000
	var want strings.Builder
	for i := range lines {
		fmt.Fprintln(&want, i+1)
	}
	if got := m.exec(p.ID, fmt.Sprintf("seq %d; exit 3", lines)); !slices.Equal(got, ended(want.String(), 3)) {
		t.Errorf("%d bytes, want %d, then %q", len(got[0]), want.Len(), got[1:])
	}
}

// TestPingsAreAnswered while a command runs that reads nothing.
func TestPingsAreAnswered(t *testing.T) {
	m := startRunning(t)
	p := m.begin("one", "sleep 3600")
	conn := m.enter(p.ID, "mkfifo /tmp/gate; cat /tmp/gate")
	piece := bytes.Repeat([]byte("x"), 1<<10) // as clients send them; all together are more than fits into pipes
	for range 250 {
		m.must(conn.Write(m.Context(), websocket.MessageText, piece))
	}
	end := make(chan []string, 1)
	go func() { end <- m.ending(conn) }()
	patient, done := context.WithTimeout(m.Context(), 20*time.Second)
	defer done()
	m.must(conn.Ping(patient))
	m.wantMessages("open the gate", m.exec(p.ID, "timeout 30 sh -c 'until test -p /tmp/gate; do :; done; echo go > /tmp/gate'"), ended("", 0))
	m.wantMessages("the command", receive(m, end), ended("go\n", 0))
}

// TestCommandGoesOnWithoutItsClient leaves a command that then does more.
func TestCommandGoesOnWithoutItsClient(t *testing.T) {
	m := startRunning(t)
	p := m.begin("one", "sleep 3600")
	conn := m.enter(p.ID, "mkfifo /tmp/a /tmp/b; echo ready; cat /tmp/a; echo went on; echo went on > /tmp/b")
	if got := m.read(conn); got != "ready\n" {
		t.Errorf("%q", got)
	}
	m.must(conn.CloseNow())
	m.wantMessages("afterwards", m.exec(p.ID, "timeout 30 sh -c 'echo go > /tmp/a; cat /tmp/b'"), ended("went on\n", 0))
}

// TestStopEndsTheCommands of a process, and tells so.
func TestStopEndsTheCommands(t *testing.T) {
	m := startRunning(t)
	p := m.begin("one", "sleep 3600")
	conn := m.enter(p.ID, "mkfifo /tmp/a; echo ready; cat /tmp/a")
	if got := m.read(conn); got != "ready\n" {
		t.Errorf("%q", got)
	}
	m.want("stop", m.do("DELETE", "/apps/web/processes/"+p.ID, nil, nil), 200, "ok\n")
	m.wantMessages("the command", m.ending(conn), ended("", 137))
}

func TestImageWithoutAShell(t *testing.T) {
	m := startRunning(t)
	m.deploy("web", rack.Release{ID: "RBBBBBBBBBB", Build: "BBBBBBBBBBB", Manifest: "services:\n  one:\n    build: .\n"})
	program, err := enginetest.Busybox()
	m.must(err)
	layer, err := layerOf(files{"echo": string(program), "env": "->/echo"})
	m.must(err)
	m.push("web:one.BBBBBBBBBBB", v1.Config{Env: []string{"PATH=/"}, Entrypoint: []string{"/env", "A=1"}}, layer)
	p := m.begin("one", "sleep 3600")
	m.wantMessages("words", m.exec(p.ID, `echo 'a  b' $A`), ended("a  b $A\n", 0))
	got := m.exec(p.ID, "env", "Entrypoint", "true")
	if !strings.Contains(got[0], "A=1\n") || !slices.Equal(got[1:], ended("", 0)[1:]) {
		t.Errorf("with the entry point: %q", got)
	}
	m.wantMessages("no such program", m.exec(p.ID, "sh -c true"),
		refused(`the command could not be started: exec: "sh": executable file not found in $PATH`))
	m.wantMessages("open quote", m.exec(p.ID, "echo 'a"), refused("the command could not be started: a quote is not closed"))
	old := m.begin("one", "sleep 3600", "Release", "RAAAAAAAAAA")
	m.wantMessages("of another release", m.exec(old.ID, "echo $RELEASE"), ended("RAAAAAAAAAA\n", 0))
}

func TestTerminalOfACommand(t *testing.T) {
	m := startRunning(t)
	p := m.begin("one", "sleep 3600")
	h := http.Header{"Command": {"stty size; echo $TERM; exit 5"}, "Height": {"33"}, "Width": {"101"}}
	m.wantMessages("size", m.ending(m.socket("/apps/web/processes/"+p.ID+"/exec", h)), ended("33 101\r\nxterm\r\n", 5))
	h.Set("Width", "wide")
	m.wantMessages("bad size", m.ending(m.socket("/apps/web/processes/"+p.ID+"/exec", h)),
		refused(`strconv.ParseUint: parsing "wide": invalid syntax`))
}

func TestFaultsOfExec(t *testing.T) {
	m := startRunning(t)
	p := m.begin("one", "sleep 3600")
	m.addApp("other")
	for target, want := range map[string]string{
		"/apps/none/processes/" + p.ID + "/exec":  "app not found: none",
		"/apps/other/processes/" + p.ID + "/exec": "process id not found for other",
		"/apps/web/processes/none/exec":           "process id not found for web",
		"/apps/web/processes/" + p.ID + "/exec":   "command is required",
	} {
		m.wantMessages(target, m.ending(m.socket(target, nil)), refused(want))
	}
	got := m.ending(m.socket("/apps/web/processes/"+p.ID+"/exec?command=echo+here", http.Header{"Tty": {"false"}}))
	m.wantMessages("command in the query", got, ended("here\n", 0))
}

// TestExecAsksForThePassword like everything else.
func TestExecAsksForThePassword(t *testing.T) {
	m := start(t, password("right"))
	m.password = "wrong"
	m.wantMessages("exec", m.ending(m.socket("/apps/web/processes/none/exec", nil)), refused("invalid authentication"))
}

// TestCloseEndsProcesses: streams are told, and nothing is left, which the end
// of the test looks at.
func TestCloseEndsProcesses(t *testing.T) {
	m := startRunning(t)
	p := m.begin("one", "sleep 3600")
	conn := m.enter(p.ID, "mkfifo /tmp/a; echo ready; cat /tmp/a")
	detached := m.begin("two", "mkfifo /tmp/a; echo also; cat /tmp/a")
	log := m.socket("/apps/web/processes/"+detached.ID+"/logs", nil)
	got := map[string]string{"command": m.read(conn), "process": m.read(log)}
	if d := cmp.Diff(map[string]string{"command": "ready\n", "process": "also\n"}, got); d != "" {
		t.Error(d)
	}
	m.server.Close()
	m.wantMessages("the command", m.ending(conn), ended("", 137))
	if rest := m.rest(log); rest != "" {
		t.Errorf("the log ends with %q", rest)
	}
	h := http.Header{"Command": {"sleep 1"}}
	m.want("a process from then on", m.do("POST", "/apps/web/services/one/processes", h, nil), 503, "the rack is being stopped\n")
}
