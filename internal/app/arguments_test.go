package app

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// given are the inputs that a command line and an environment give.
func given[In any](t *testing.T, positional string, environ []string, line ...string) (map[string]string, error) {
	t.Helper()
	p := &process{environ: environ, run: ci.Run{System: ci.Plain}}
	fields := options.Fields(new(In))
	cmd := &cobra.Command{Use: "verb", SilenceErrors: true, SilenceUsage: true}
	flags := addFlags(cmd.Flags(), fields)
	takes := positionals(strings.Fields(positional))
	cmd.Args = takes.check
	var values map[string]string
	cmd.RunE = func(_ *cobra.Command, args []string) (err error) {
		values, err = p.values(fields, flags, takes, args)
		return err
	}
	cmd.SetArgs(line)
	return values, cmd.Execute()
}

// TestArguments: several words of a command are one text that means the same
// words, those of a list are its lines, and a flag or an argument wins over the
// environment.
func TestArguments(t *testing.T) {
	type values = map[string]string
	for _, test := range []struct {
		line    []string
		environ []string
		want    values
		wrong   string
	}{
		{[]string{"web", "bin/task"}, nil, values{"service": "web", "command": "bin/task"}, ""},
		{[]string{"web", "echo 'a' && b"}, nil, values{"service": "web", "command": "echo 'a' && b"}, ""},
		{[]string{"web", "--", "echo", "it's", "-n", ""}, nil, values{"service": "web", "command": `echo 'it'\''s' -n ''`}, ""},
		{[]string{"web"}, []string{"INPUT_COMMAND=ls"}, values{"service": "web", "command": "ls"}, ""},
		{nil, []string{"INPUT_SERVICE=web", "INPUT_COMMAND=ls"}, values{"service": "web", "command": "ls"}, ""},
		{[]string{"api", "pwd"}, []string{"INPUT_SERVICE=web", "INPUT_COMMAND=ls"}, values{"service": "api", "command": "pwd"}, ""},
		{[]string{"", ""}, []string{"INPUT_SERVICE=web"}, values{"service": "web"}, ""},
		{[]string{"web", "ls", "--service", "web"}, nil, values{"service": "web", "command": "ls"}, ""},
		{[]string{"web", "ls", "--service=api"}, nil, nil, `service: "api" contradicts the argument "web"`},
		{[]string{"web", "ls", "-l", "--command", "x"}, nil, nil, ""},
		{[]string{"web", "ls", "--service", ""}, nil, values{"service": "web", "command": "ls"}, ""},
	} {
		got, err := given[workflow.RunInputs](t, "service command...", test.environ, test.line...)
		if test.want == nil {
			if err == nil || !strings.Contains(err.Error(), test.wrong) {
				t.Errorf("%q: %v, %v", test.line, got, err)
			}
			continue
		}
		if d := cmp.Diff(test.want, got); err != nil || d != "" {
			t.Errorf("%q: %v\n%s", test.line, err, d)
		}
	}
}

// TestArgumentsOfAList: a word is a line, whatever is in it.
func TestArgumentsOfAList(t *testing.T) {
	for _, line := range [][]string{{"A=1", `B="two" words`, "C=x\ny", "D= "}, {"--set-env", "A=1", "--set-env", `B="two" words`, "--set-env=C=x\ny", "--set-env", "D= "}} {
		values, err := given[workflow.EnvSetInputs](t, "set-env...", nil, line...)
		if err != nil {
			t.Fatal(err)
		}
		got, err := options.ParsePairs(values["set-env"])
		want := options.Pairs{{Key: "A", Value: "1"}, {Key: "B", Value: `"two" words`}, {Key: "C", Value: "x\ny"}, {Key: "D", Value: " "}}
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%q: %v\n%s", line, err, d)
		}
	}
	if _, err := given[workflow.EnvSetInputs](t, "set-env...", nil, "A=1", "--set-env", "A=2"); err == nil {
		t.Error("flag and argument differ")
	}
}

// TestTooManyArguments: one more than a verb takes is a slip.
func TestTooManyArguments(t *testing.T) {
	var wrong *options.Error
	if _, err := given[workflow.PromoteInputs](t, "release", nil, "RONE", "RTWO"); !errors.As(err, &wrong) || wrong.Problems[0].Value != "RTWO" {
		t.Error(err)
	}
	if _, err := given[workflow.LogsInputs](t, "", nil, "x"); !errors.As(err, &wrong) || wrong.Problems[0].Value != "x" {
		t.Error(err)
	}
}
