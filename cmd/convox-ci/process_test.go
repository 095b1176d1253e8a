package main

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long a story waits for something that has to come: far longer
// than it ever takes, so that only a fault runs into it.
const patience = 60 * time.Second

// status runs a program that must exit with a status.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N PROGRAM [ARGUMENT...]")
	}
	os.Remove(ts.Getenv("CONVOX_OUTPUT_FILE")) // of the run before
	launch(ts, args[1:]).end(ts, args[0])
}

// feed pipes a file into the next program.
func feed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: feed FILE")
	}
	storyOf(ts).fed = ts.ReadFile(args[0])
}

var addMask = regexp.MustCompile(`(?m)^::add-mask::.*$`)

// noSecret looks for the key, in any spelling, in what was said and in the files
// that outputs go to.
func noSecret(ts *testscript.TestScript, said ...string) {
	for _, file := range []string{ts.Getenv("GITHUB_OUTPUT"), ts.Getenv("BASH_ENV"), ts.Getenv("CONVOX_OUTPUT_FILE")} {
		if data, err := os.ReadFile(file); err == nil {
			said = append(said, string(data))
		}
	}
	text := strings.Join(said, "\n")
	if ts.Getenv("GITHUB_ACTIONS") == "true" {
		text = addMask.ReplaceAllString(text, "") // the runner is told of a secret, and shows nothing of that
	}
	for _, form := range []string{
		key, url.QueryEscape(key), url.PathEscape(key), strings.TrimPrefix(url.UserPassword("", key).String(), ":"),
		base64.StdEncoding.EncodeToString([]byte("convox:" + key)), base64.StdEncoding.EncodeToString([]byte(key)),
	} {
		if strings.Contains(text, form) {
			ts.Fatalf("the key is shown, as %q", form)
		}
	}
}

// process is a program in the background.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended

	mu       sync.Mutex
	out, err bytes.Buffer
	more     chan struct{} // closed and replaced when it says something
}

// pipe is one of a process's streams.
type pipe struct {
	*process
	to *bytes.Buffer
}

func (p pipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.more)
	p.more = make(chan struct{})
	return p.to.Write(b)
}

// said is all that the process said so far, and a channel that closes when there
// is more.
func (p *process) said() (text string, more <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String() + p.err.String(), p.more
}

// await waits until the process has said something that matches.
func (p *process) await(ts *testscript.TestScript, pattern *regexp.Regexp) []string {
	late := time.After(patience)
	for {
		text, more := p.said()
		if m := pattern.FindStringSubmatch(text); m != nil {
			return m
		}
		select {
		case <-more:
		case <-p.done:
			if text, _ := p.said(); !pattern.MatchString(text) {
				ts.Fatalf("it ended (%v) without saying %s:\n%s", p.cmd.ProcessState, pattern, text)
			}
		case <-late:
			ts.Fatalf("it does not say %s:\n%s", pattern, text)
		}
	}
}

// environment returns all variables of a script, which only a program that it runs
// can see; a shell would lose those with a hyphen.
func environment(ts *testscript.TestScript) []string {
	cp, err := exec.LookPath("cp") // on the test's own PATH
	ts.Check(err)
	file := filepath.Join(ts.Getenv("TMPDIR"), "environ")
	ts.Check(ts.Exec(cp, "/proc/self/environ", file))
	return strings.Split(strings.TrimSuffix(ts.ReadFile(file), "\x00"), "\x00")
}

// launch starts a program in the background.
func launch(ts *testscript.TestScript, program []string) *process {
	p := &process{cmd: exec.Command(program[0], program[1:]...), done: make(chan struct{}), more: make(chan struct{})}
	p.cmd.Env, p.cmd.Dir = environment(ts), ts.MkAbs(".")
	p.cmd.Stdout, p.cmd.Stderr = pipe{p, &p.out}, pipe{p, &p.err}
	if s := storyOf(ts); s.fed != "" {
		p.cmd.Stdin = strings.NewReader(s.fed)
		s.fed = ""
	}
	ts.Check(p.cmd.Start())
	go func() {
		defer close(p.done)
		p.cmd.Wait() // its end is in the ProcessState
	}()
	return p
}

// end waits until the process has ended with a status, where a signal that killed
// it counts as in a shell. What it said becomes the output of the script's command.
// All that and the outputs it wrote must be without the key.
func (p *process) end(ts *testscript.TestScript, status string) {
	late := false
	select {
	case <-p.done:
	case <-time.After(patience):
		late = true
		p.cmd.Process.Kill()
		<-p.done
	}
	ts.Stdout().Write(p.out.Bytes())
	ts.Stderr().Write(p.err.Bytes())
	noSecret(ts, p.out.String(), p.err.String())
	got := p.cmd.ProcessState.ExitCode()
	if s, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		got = 128 + int(s.Signal())
	}
	switch {
	case late:
		ts.Fatalf("it did not end")
	case strconv.Itoa(got) != status:
		ts.Fatalf("exit status %d, want %s", got, status)
	}
}

// start runs a program in the background under a name, and sets PID.
func start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start NAME PROGRAM [ARGUMENT...]")
	}
	if storyOf(ts).processes[args[0]] != nil {
		ts.Fatalf("%s was started and has not been ended", args[0])
	}
	p := launch(ts, args[1:])
	storyOf(ts).processes[args[0]] = p
	ts.Setenv("PID", strconv.Itoa(p.cmd.Process.Pid))
}

func named(ts *testscript.TestScript, name string) *process {
	p := storyOf(ts).processes[name]
	if p == nil {
		ts.Fatalf("nothing runs under the name %s", name)
	}
	return p
}

// await waits until a program in the background has said something.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await NAME PATTERN")
	}
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	m := named(ts, args[0]).await(ts, pattern)
	ts.Setenv("MATCH", m[len(m)-1])
}

// signalProcess sends a signal to a program in the background.
func signalProcess(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL}
	if neg || len(args) != 2 || signals[args[1]] == 0 {
		ts.Fatalf("usage: signal NAME INT|TERM|HUP|KILL")
	}
	ts.Check(named(ts, args[0]).cmd.Process.Signal(signals[args[1]]))
}

// ended waits until a program in the background has ended, with a status.
func ended(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: ended NAME STATUS")
	}
	named(ts, args[0]).end(ts, args[1])
	delete(storyOf(ts).processes, args[0])
}

var ready = regexp.MustCompile(`(?m)^Registry: *(\S+)\nRack: *RACK_URL=(\S+)\nReady\n`)

// serveRack starts a rack on the story's data, and sets REGISTRY, RACK_URL and
// RACK_HOST when it is ready. Its process goes by the name rack.
func serveRack(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: rack [FLAG...]")
	}
	program := []string{"rack", "convox-ci", "rack", "serve", "--listen", "127.0.0.1:0", "--data", ts.Getenv("DATA")}
	start(ts, false, append(program, args...))
	m := named(ts, "rack").await(ts, ready)
	rack := strings.Replace(m[2], ":PASSWORD@", url.UserPassword("", key).String()+"@", 1)
	u, err := url.Parse(rack)
	ts.Check(err)
	ts.Setenv("REGISTRY", m[1])
	ts.Setenv("RACK_URL", rack)
	ts.Setenv("RACK_HOST", u.Host)
}

// setParameters sets parameters of the rack that was started, as its owner does.
func setParameters(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: parameters NAME=VALUE[&NAME=VALUE...]")
	}
	u := url.URL{Scheme: "http", User: url.UserPassword("convox", key), Host: ts.Getenv("RACK_HOST"), Path: "/system"}
	body := strings.NewReader(url.Values{"parameters": args}.Encode())
	req, err := http.NewRequest(http.MethodPut, u.String(), body)
	ts.Check(err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		ts.Fatalf("setting parameters: %s", res.Status)
	}
}

// createApp makes an app on the rack that was started, as its owner does once.
func createApp(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: app NAME")
	}
	u := url.URL{Scheme: "http", User: url.UserPassword("convox", key), Host: ts.Getenv("RACK_HOST"), Path: "/apps"}
	res, err := http.PostForm(u.String(), url.Values{"name": args})
	ts.Check(err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		ts.Fatalf("making the app: %s", res.Status)
	}
}
