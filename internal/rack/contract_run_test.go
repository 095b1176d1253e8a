package rack_test

import (
	"errors"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/wire"
)

func processes(t *testing.T, r wire.Recording) {
	c, _ := play(t, r)
	if e := r.Exchanges[len(r.Exchanges)-1]; path.Base(e.Path) != "processes" && strings.Contains(e.Path, "/processes/") {
		got, err := c.Process(t.Context(), "myapp", r.Argv[3])
		if err != nil {
			t.Fatal(err)
		}
		carries(t, e.Body, got)
		return
	}
	got, err := c.Processes(t.Context(), "myapp")
	if err != nil {
		t.Fatal(err)
	}
	carries(t, answered(t, r, "GET", "/processes")[0].Body, got)
}

func stopProcess(t *testing.T, r wire.Recording) {
	c, p := play(t, r)
	if err := c.StopProcess(t.Context(), "myapp", r.Argv[3]); err != nil {
		t.Error(err)
	}
	p.done()
}

func logs(t *testing.T, r wire.Recording) {
	o := rack.LogOptions{Prefix: true, Since: 2 * time.Minute, Filter: strings.Join(flag(r, "filter"), "")}
	for _, text := range flag(r, "since") {
		var err error
		if o.Since, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	c, _ := play(t, r)
	var out safeBuffer
	if err := c.AppLog(t.Context(), "myapp", o, &out); err != nil || out.String() != r.Stdout {
		t.Errorf("got %q, %v, want %q", &out, err, r.Stdout)
	}
}

// exec runs a command in a process. The official client makes its line breaks
// spaces, which ours leaves to who calls.
func exec(t *testing.T, r wire.Recording) {
	command := strings.ReplaceAll(strings.Join(r.Argv[3:len(r.Argv)-2], " "), "\n", " ")
	c, _ := play(t, r)
	var out safeBuffer
	status, err := c.Exec(t.Context(), "myapp", r.Argv[2], rack.ExecOptions{Command: command, Output: &out})
	if err != nil || status != r.ExitCode || out.String() != r.Stdout {
		t.Errorf("status %d, %v, want %d, output %q", status, err, r.ExitCode, &out)
	}
}

// execMissing: the official client exits with 0.
func execMissing(t *testing.T, r wire.Recording) {
	c, _ := play(t, r)
	var out safeBuffer
	_, err := c.Exec(t.Context(), "myapp", r.Argv[2], rack.ExecOptions{Command: "true", Output: &out})
	var none *rack.NoStatusError
	words := strings.TrimSpace(strings.TrimPrefix(r.Stdout, "ERROR: "))
	if !errors.As(err, &none) || !none.Ended || none.Err.Error() != words {
		t.Errorf("error is %v, want %s", err, words)
	}
}

// commandOf is the command of a recorded stream, and what was sent to it.
func commandOf(t *testing.T, r wire.Recording) (command, input string) {
	e := answered(t, r, "GET", "/exec")[0]
	for _, f := range e.Frames {
		if f.Dir == "client" && f.Type == "text" {
			input += f.Payload
		}
	}
	return e.Headers["Command"], input
}

// runOn runs the command of a recording in a process of its own.
func runOn(t *testing.T, r wire.Recording, command, input string) (status int, out string, err error) {
	t.Helper()
	c, p := play(t, r)
	began := ""
	var output safeBuffer
	status, err = c.Run(t.Context(), rack.App{Name: "myapp", Generation: r.Server[1:]}, rack.Job{
		Service: r.Argv[2], Command: command, Limit: time.Hour, Input: strings.NewReader(input), Output: &output,
		Began: func(process string) { began = process },
	})
	p.done()
	for _, e := range answered(t, r, "POST", "/processes") {
		if e.Status < 400 && !strings.Contains(e.Body, began) {
			t.Errorf("began %q, in %s", began, e.Body)
		}
	}
	return status, output.String(), err
}

func run(t *testing.T, r wire.Recording) {
	command, input := commandOf(t, r)
	if said := strings.Join(r.Argv[3:len(r.Argv)-2], " "); command != said {
		t.Fatalf("command is %q, was given as %q", command, said)
	}
	status, out, err := runOn(t, r, command, input)
	if err != nil || status != r.ExitCode || out != r.Stdout {
		t.Errorf("status %d, %v, want %d, output %q", status, err, r.ExitCode, out)
	}
}

// runCut: the official client takes a stream that broke for an end with 0.
func runCut(t *testing.T, r wire.Recording) {
	command, input := commandOf(t, r)
	_, out, err := runOn(t, r, command, input)
	var none *rack.NoStatusError
	if !errors.As(err, &none) || none.Ended || out != r.Stdout {
		t.Errorf("error is %v, output %q, want %q", err, out, r.Stdout)
	}
}

func runUnknownService(t *testing.T, r wire.Recording) {
	_, _, err := runOn(t, r, "true", "")
	wantKind(t, err, nil, last(r).Body)
}

// runWithoutEntrypoint goes step by step: there is no command here that leaves
// the entry point of an image out.
func runWithoutEntrypoint(t *testing.T, r wire.Recording) {
	command, _ := commandOf(t, r)
	c, p := play(t, r)
	started, err := c.BeginProcess(t.Context(), "myapp", "web", rack.RunOptions{Command: "sleep 60", Release: flag(r, "release")[0]})
	if err != nil {
		t.Fatal(err)
	}
	carries(t, answered(t, r, "POST", "/processes")[0].Body, started)
	var out safeBuffer
	status, err := c.Exec(t.Context(), "myapp", started.ID, rack.ExecOptions{Command: command, Output: &out})
	if err != nil || status != 0 || out.String() != r.Stdout {
		t.Errorf("status %d, %v, output %q", status, err, &out)
	}
	if err := c.StopProcess(t.Context(), "myapp", started.ID); err != nil {
		t.Error(err)
	}
	p.done()
}

// runDetached gives the words of the command joined by spaces, as the official
// client does. Ours are one text to begin with.
func runDetached(t *testing.T, r wire.Recording) {
	words := r.Argv[4:]
	if words[0] == "--" {
		words = words[1:]
	} else {
		words = words[:len(words)-2]
	}
	c, p := play(t, r)
	started, err := c.BeginProcess(t.Context(), "myapp", r.Argv[3], rack.RunOptions{Command: strings.Join(words, " ")})
	if err != nil {
		t.Fatal(err)
	}
	carries(t, last(r).Body, started)
	if !strings.HasSuffix(r.Stdout, "OK, "+started.ID+"\n") {
		t.Errorf("process is %s, and the client said %s", started.ID, r.Stdout)
	}
	p.done()
}

// runNewline: what a header cannot carry is not sent. The official client fails
// there; the shell of a v2 rack can be told of the line break in other words.
func runNewline(t *testing.T, r wire.Recording) {
	fit, err := rack.App{Name: "myapp", Generation: r.Server[1:]}.Fit(r.Argv[4])
	var unfit *rack.CommandError
	if r.Server == "v3" && !errors.As(err, &unfit) {
		t.Errorf("error is %v", err)
	}
	if r.Server == "v2" && (err != nil || strings.Contains(fit, "\n") || fit == "") {
		t.Errorf("command is %q, %v", fit, err)
	}
}
