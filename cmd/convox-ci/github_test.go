package main

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/rogpeppe/go-internal/testscript"
)

// runner reads a log as GitHub's runner does. A line is a command when it
// begins, after blanks, with ::name, or has ##[name] anywhere, and the name is
// known; after stop-commands only the token given there is one.
//
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
type runner struct {
	token string
	group bool
	found []string // commands as they were obeyed
	wrong []string
}

var (
	anyLineEnd = regexp.MustCompile(`\r\n|\r|\n`)
	commands   = []string{"add-mask", "add-matcher", "add-path", "debug", "echo", "endgroup", "error", "group", "notice",
		"remove-matcher", "save-state", "set-env", "set-output", "stop-commands", "warning"}
)

func (r *runner) read(log string) {
	for _, line := range anyLineEnd.Split(log, -1) {
		if strings.Contains(line, "##[") {
			r.wrong = append(r.wrong, "the viewer gives a meaning to: "+line)
		}
		rest, ok := strings.CutPrefix(strings.TrimLeftFunc(line, unicode.IsSpace), "::")
		head, data, closed := strings.Cut(rest, "::")
		name, _, _ := strings.Cut(head, " ")
		name = strings.ToLower(name)
		switch {
		case !ok || !closed:
		case r.token != "" && name == r.token:
			r.token = ""
		case r.token == "" && slices.Contains(commands, name):
			r.obey(name, head, data)
		}
	}
	if r.token != "" {
		r.wrong = append(r.wrong, "commands are off at the end")
	}
	if r.group {
		r.wrong = append(r.wrong, "a group is open at the end")
	}
}

func (r *runner) obey(name, head, data string) {
	switch name {
	case "stop-commands":
		r.token = strings.ToLower(data)
		return
	case "group":
		if r.group {
			r.wrong = append(r.wrong, "group within a group: "+data)
		}
		r.group = true
	case "endgroup":
		if !r.group {
			r.wrong = append(r.wrong, "endgroup without a group")
		}
		r.group = false
	case "error":
		if r.group {
			r.wrong = append(r.wrong, "error folded away in a group: "+data)
		}
	case "add-mask":
		data = "***"
	}
	r.found = append(r.found, strings.TrimSpace(head)+"::"+data)
}

// github reads what the last program said as the runner would, and prints the
// commands that it obeys, a line each. Masks are printed without their secret,
// which then, as in the real log, must not show up any more.
func github(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: github")
	}
	var r runner
	r.read(ts.ReadFile("stdout"))
	if len(r.wrong) > 0 {
		ts.Fatalf("%s", strings.Join(r.wrong, "\n"))
	}
	for _, command := range r.found {
		fmt.Fprintln(ts.Stdout(), command)
	}
}

// outputs reads a file of outputs as GitHub's runner does, and sets OUT_NAME for
// each, with "_" for "-". It prints them as NAME=VALUE, sorted, and forgets those
// of an earlier call. No output may be written twice.
func outputs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: outputs FILE")
	}
	text := ts.ReadFile(args[0])
	values := map[string]string{}
	for text != "" {
		head, rest, _ := strings.Cut(text, "\n")
		name, end, ok := strings.Cut(head, "<<")
		value, after, closed := strings.Cut("\n"+rest, "\n"+end+"\n")
		if _, twice := values[name]; !ok || !closed || twice {
			ts.Fatalf("%s: wrong or twice: %q", args[0], head)
		}
		values[name], text = strings.TrimPrefix(value, "\n"), after
	}
	for _, name := range []string{"app", "build", "duration", "git-sha", "metadata", "previous-release", "process", "promoted", "rack", "reason", "release", "status", "url", "urls"} {
		ts.Setenv("OUT_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_")), values[name])
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(ts.Stdout(), "%s=%s\n", name, values[name])
	}
	ts.Check(os.Remove(ts.MkAbs(args[0])))
}
