package convoxci_test

import (
	"context"
	"fmt"
	"go/ast"
	"go/token"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/app"
	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// generatedTables are the parts of the pages that are made from the code.
func generatedTables(t *testing.T) map[string]string {
	return map[string]string{
		"inputs":                inputsTable(),
		"inputs of commands":    commandInputsTable(),
		"outputs":               outputsTable(t),
		"exit statuses":         statusTable(t),
		"hints":                 hintsTable(t),
		"permissions on ecr":    permissionsTable(),
		"policy for ecr":        policyForECR(t),
		"permissions of stores": storesTable(),
		"policy for stores":     policyForStores(t),
		"permissions of aws":    estateTable(),
		"policy for aws":        policyForEstate(t),
		"policy for pulls":      policyForPulls(t),
	}
}

// commands are the commands of the binary that have inputs, by what is typed.
func commands() map[string][]options.Field {
	all := verbs()
	for name, in := range map[string]any{
		"rollback": new(workflow.RollbackInputs), "logs": new(workflow.LogsInputs),
		"builds": new(workflow.ListInputs), "builds info": new(workflow.BuildInfoInputs), "builds logs": new(workflow.BuildInput),
		"builds cancel": new(workflow.BuildInput), "builds export": new(workflow.ExportInputs), "builds import": new(workflow.ImportInputs),
		"builds copy": new(workflow.CopyInputs), "releases": new(workflow.ListInputs), "releases info": new(workflow.ReleaseInfoInputs),
		"releases manifest": new(workflow.ReleaseManifestInputs), "env": new(workflow.ListEnvInputs), "env get": new(workflow.EnvGetInputs),
		"env set": new(workflow.EnvSetInputs), "apps": new(workflow.ConnectionInputs), "apps create": new(workflow.Target),
		"racks": new(workflow.RacksInputs), "rack serve": new(app.ServeInputs), "rack init": new(app.InitInputs),
		"rack params": new(workflow.ConnectionInputs), "rack params set": new(workflow.SetRackParamsInputs), "rack token": new(workflow.TokenInputs),
	} {
		all[name] = options.Fields(in)
	}
	return all
}

// helped is what the help of a command says: its flags and the commands below it.
func helped(t *testing.T, command ...string) (flags, below []string) {
	t.Helper()
	var out strings.Builder
	if status := app.Main(context.Background(), append(command, "--help"), nil, app.Streams{Out: &out, Err: &out}); status != 0 {
		t.Fatalf("%q --help: status %d\n%s", command, status, out.String())
	}
	flag := regexp.MustCompile(`(?m)^ +(?:-h, )?--([a-z-]+)`)
	for _, m := range flag.FindAllStringSubmatch(out.String(), -1) {
		if m[1] != "help" {
			flags = append(flags, m[1])
		}
	}
	_, list, _ := strings.Cut(out.String(), "Available Commands:\n")
	for line := range strings.Lines(list) {
		if strings.TrimSpace(line) == "" {
			break
		}
		below = append(below, strings.Fields(line)[0])
	}
	return flags, below
}

// TestCommandsAreKnown walks the commands by their help, and compares their flags
// with the inputs that the tables are made of.
func TestCommandsAreKnown(t *testing.T) {
	got, want := map[string][]string{}, map[string][]string{}
	var walk func(path []string)
	walk = func(path []string) {
		flags, below := helped(t, path...)
		if len(flags) > 0 {
			got[strings.Join(path, " ")] = flags
		}
		for _, name := range below {
			if name != "help" {
				walk(append(slices.Clone(path), name))
			}
		}
	}
	walk(nil)
	for name, fields := range commands() {
		for _, f := range fields {
			if !f.Legacy {
				want[name] = append(want[name], f.Name)
			}
		}
		slices.Sort(want[name])
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("inputs of the structs (-) and flags of the commands (+):\n%s", d)
	}
	readme := pages(t)["README.md"]
	for name := range got {
		if !regexp.MustCompile("(?m)^\\|.*`" + name + "[`. \\[]").MatchString(readme) {
			t.Errorf("README.md has no row for %s", name)
		}
	}
}

// inputsTable is about the inputs that the Action has as well.
func inputsTable() string {
	of := verbs()
	rows := [][]string{{"`action`", "string", "`build`", "", "what to do: build, deploy, promote, run, check or login"}}
	known := map[string]bool{}
	for _, verb := range []string{"deploy", "build", "promote", "run", "check", "login"} {
		for _, f := range of[verb] {
			if known[f.Name] || f.Legacy {
				continue
			}
			known[f.Name] = true
			rows = append(rows, []string{"`" + f.Name + "`", string(f.Kind), fallback(f), users(of, f.Name), f.Usage})
		}
	}
	return table([]string{"Input", "Type", "Default", "Of", "Meaning"}, rows)
}

// users are the verbs that have an input.
func users(of map[string][]options.Field, input string) string {
	var names []string
	for _, verb := range []string{"build", "deploy", "promote", "run", "check", "login"} {
		if slices.ContainsFunc(of[verb], func(f options.Field) bool { return f.Name == input }) {
			names = append(names, verb)
		}
	}
	if len(names) == len(of) {
		return "all"
	}
	return strings.Join(names, ", ")
}

// fallback is what counts where an input is not given.
func fallback(f options.Field) string {
	switch {
	case f.Required:
		return "required"
	case f.Default != "":
		return "`" + f.Default + "`"
	}
	return ""
}

// commandInputsTable is about the inputs that commands have beside those of the
// Action, or with another meaning.
func commandInputsTable() string {
	same := map[string]string{}
	for _, fields := range verbs() {
		for _, f := range fields {
			same[f.Name] = f.Usage
		}
	}
	var rows [][]string
	all := commands()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if _, ok := verbs()[name]; ok {
			continue
		}
		for _, f := range all[name] {
			if same[f.Name] != f.Usage {
				rows = append(rows, []string{"`" + name + "`", "`" + f.Name + "`", string(f.Kind), fallback(f), f.Usage})
			}
		}
	}
	return table([]string{"Command", "Input", "Type", "Default", "Meaning"}, rows)
}

// outputsTable asks the adapter of CircleCI itself what an output becomes there.
func outputsTable(t *testing.T) string {
	file := filepath.Join(t.TempDir(), "env")
	console := ci.Open(ci.Run{System: ci.CircleCI}, []string{"CIRCLECI=true", "BASH_ENV=" + file}, io.Discard)
	var rows [][]string
	outputs := outputsOf("")
	slices.SortFunc(outputs, func(a, b described) int { return strings.Compare(a.name, b.name) })
	for _, o := range outputs {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := console.Output(o.name, "value"); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var variables []string
		for line := range strings.Lines(string(text)) {
			variable, _, _ := strings.Cut(strings.TrimPrefix(line, "export "), "=")
			variables = append(variables, "`"+variable+"`")
		}
		rows = append(rows, []string{"`" + o.name + "`", strings.Join(variables, ", "), o.text})
	}
	return table([]string{"Output", "On CircleCI", "Meaning"}, rows)
}

const explaining = "internal/app/explain.go"

// statusTable has the exit statuses with what their declarations say of them.
func statusTable(t *testing.T) string {
	var rows [][]string
	for _, s := range exitStatuses(t) {
		if s.means == "" {
			t.Errorf("%s: %s has no comment at its line", explaining, s.name)
		}
		rows = append(rows, []string{s.value, s.means})
	}
	rows = slices.Insert(rows, 2, []string{"the command's own", "of `run`: the command ended with it; a command around a promote that fails is a 1"})
	rows = append(rows, []string{fmt.Sprintf("%d, %d, %d", app.Signal(syscall.SIGHUP).Status(), app.Signal(syscall.SIGINT).Status(), app.Signal(syscall.SIGTERM).Status()),
		"cancelled by a signal (hang-up, interrupt, termination)"})
	return table([]string{"Exit status", "Means"}, rows)
}

// status is the declaration of an exit status.
type status struct{ name, value, means string }

func exitStatuses(t *testing.T) []status {
	t.Helper()
	var list []status
	ast.Inspect(goFiles(t)[explaining], func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || len(v.Values) != 1 || !strings.HasPrefix(v.Names[0].Name, "exit") {
			return true
		}
		if value, ok := v.Values[0].(*ast.BasicLit); ok {
			list = append(list, status{v.Names[0].Name, value.Value, strings.TrimSpace(v.Comment.Text())})
		}
		return true
	})
	return list
}

// hints are what a person is told to do beside an error, with the exit status where
// there is only one that goes with it, else "", in the order of the code.
func hints(t *testing.T) iter.Seq2[string, string] {
	statuses := map[string]string{}
	for _, s := range exitStatuses(t) {
		statuses[s.name] = s.value
	}
	rows := [][]string{}
	add := func(status, hint string) {
		if hint != "" && hint != "…" {
			rows = append(rows, []string{status, hint})
		}
	}
	ast.Inspect(goFiles(t)[explaining], func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ReturnStmt:
			if len(n.Results) > 1 {
				if id, ok := n.Results[0].(*ast.Ident); ok {
					add(statuses[id.Name], literal(n.Results[1]))
				}
			}
		case *ast.AssignStmt:
			if n.Tok == token.ASSIGN && len(n.Rhs) == 1 {
				add("", literal(n.Rhs[0]))
			}
		}
		return true
	})
	return func(yield func(hint, status string) bool) {
		for _, r := range rows {
			if !yield(r[1], r[0]) {
				return
			}
		}
	}
}

func hintsTable(t *testing.T) string {
	rows := [][]string{}
	for hint, status := range hints(t) {
		rows = append(rows, []string{status, hint})
	}
	for i := range rows {
		rows[i][1] = strconv.Quote(rows[i][1])
		rows[i][1] = rows[i][1][1 : len(rows[i][1])-1]
	}
	return table([]string{"Exit status", "Hint"}, rows)
}
