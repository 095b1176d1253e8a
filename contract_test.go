package convoxci_test

import (
	"context"
	"go/ast"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/app"
	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// verbs are the verbs of the Action, with their inputs.
func verbs() map[string][]options.Field {
	return map[string][]options.Field{
		"build":   options.Fields(new(app.BuildInputs)),
		"deploy":  options.Fields(new(workflow.DeployInputs)),
		"promote": options.Fields(new(workflow.PromoteInputs)),
		"run":     options.Fields(new(workflow.RunInputs)),
		"check":   options.Fields(new(workflow.CheckInputs)),
		"login":   options.Fields(new(workflow.LoginInputs)),
	}
}

// TestFlagsAreTheInputs reads the flags off the help that a person gets.
func TestFlagsAreTheInputs(t *testing.T) {
	flag := regexp.MustCompile(`(?m)^ +(?:-h, )?--([a-z-]+)`)
	for verb, fields := range verbs() {
		var out strings.Builder
		if status := app.Main(context.Background(), []string{verb, "--help"}, nil, app.Streams{Out: &out, Err: &out}); status != 0 {
			t.Fatalf("%s --help: status %d\n%s", verb, status, out.String())
		}
		got := []string{}
		for _, m := range flag.FindAllStringSubmatch(out.String(), -1) {
			if m[1] != "help" {
				got = append(got, m[1])
			}
		}
		want := []string{}
		for _, f := range fields {
			if !f.Legacy {
				want = append(want, f.Name)
			}
		}
		slices.Sort(want)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: inputs (-) and flags (+):\n%s", verb, d)
		}
	}
}

// TestActionOutputsAreWritten compares the outputs with the names that the code
// writes outputs under.
func TestActionOutputsAreWritten(t *testing.T) {
	written := map[string]bool{}
	for path, f := range goFiles(t) {
		if !strings.HasPrefix(path, "internal/workflow/") && !strings.HasPrefix(path, "internal/app/") {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			s, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || s.Sel.Name != "output" && s.Sel.Name != "Output" || len(call.Args) != 2 {
				return true
			}
			if name, ok := call.Args[0].(*ast.BasicLit); ok {
				text, _ := strconv.Unquote(name.Value)
				written[text] = true
			}
			return true
		})
	}
	got := slices.Sorted(maps.Keys(written))
	var want []string
	for _, o := range actionOutputs() {
		want = append(want, o.name)
	}
	slices.Sort(want)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("outputs of the Action (-) and written (+):\n%s", d)
	}
}

// TestOutputsAreNoInputs: an output that becomes a variable is not read as an input
// by the next step, or a deploy to one rack would turn all that follow to it. The
// release is one on purpose, for the step that promotes it.
func TestOutputsAreNoInputs(t *testing.T) {
	inputs := []string{"action"}
	for _, fields := range verbs() {
		for _, f := range fields {
			inputs = append(inputs, f.Name)
		}
	}
	file := filepath.Join(t.TempDir(), "variables")
	for _, o := range actionOutputs() {
		console := ci.Open(ci.Run{System: ci.Bitbucket}, []string{"BITBUCKET_PIPELINES_VARIABLES_PATH=" + file}, io.Discard)
		if err := console.Output(o.name, "value-of-"+o.name); err != nil {
			t.Fatal(err)
		}
	}
	variables, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"release": "value-of-release"}
	if d := cmp.Diff(want, ci.Inputs(strings.Split(string(variables), "\n"), inputs)); d != "" {
		t.Errorf("read back as inputs:\n%s", d)
	}
}
