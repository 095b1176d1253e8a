package orb_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// own are the parameters that the orb has beside inputs of the binary.
func own() []string {
	return []string{"component_name", "deploy_marker", "environment_name", "no_output_timeout", "output_dir", "step_name"}
}

// verbs are the verbs of the orb, with the inputs of the binary.
func verbs() map[string][]options.Field {
	return map[string][]options.Field{
		"build":    options.Fields(new(workflow.BuildInputs)),
		"deploy":   options.Fields(new(workflow.DeployInputs)),
		"promote":  options.Fields(new(workflow.PromoteInputs)),
		"run":      options.Fields(new(workflow.RunInputs)),
		"rollback": options.Fields(new(workflow.RollbackInputs)),
	}
}

// TestParametersAreInputs: a parameter of a command is an input of its verb under
// the same name, and of a fitting type. Where a verb has more inputs, CONVOX_NAME of
// the job's environment gives them.
func TestParametersAreInputs(t *testing.T) {
	for verb, fields := range verbs() {
		for name, p := range at(packed(t), "commands", verb, "parameters").(map[string]any) {
			input := strings.ReplaceAll(name, "_", "-")
			if verb == "rollback" && input == "release" {
				input = "to" // which says nothing without its verb
			}
			i := slices.IndexFunc(fields, func(f options.Field) bool { return f.Name == input })
			if i < 0 {
				if !slices.Contains(own(), name) {
					t.Errorf("%s: %s is no input of the verb", verb, name)
				}
				continue
			}
			want := "string"
			switch fields[i].Kind {
			case options.KindBool:
				want = "boolean"
			case options.KindSecret:
				want = "env_var_name"
			}
			if got := text(at(p, "type")); got != want {
				t.Errorf("%s: %s is of type %s, the input %s", verb, name, got, want)
			}
		}
	}
}

// TestEveryParameterArrives: the step gets each parameter of its command, and no
// other.
func TestEveryParameterArrives(t *testing.T) {
	for verb := range verbs() {
		c := at(packed(t), "commands", verb).(map[string]any)
		var want []string
		for name := range at(c, "parameters").(map[string]any) {
			want = append(want, name)
		}
		got := []string{}
		runs(c["steps"], func(run any) {
			for name, value := range run.(map[string]any) {
				got = append(got, references(name, value)...)
			}
		})
		slices.Sort(want)
		slices.Sort(got)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: parameters (-) and those that the step gets (+):\n%s", verb, d)
		}
	}
}

// references are the parameters that a key of a run step names.
func references(key string, value any) (list []string) {
	if key == "command" {
		return nil
	}
	if key == "environment" {
		for variable, v := range value.(map[string]any) {
			list = append(list, references(variable, v)...)
		}
		return list
	}
	s, _ := value.(string)
	if name, ok := strings.CutPrefix(s, "<< parameters."); ok {
		list = append(list, strings.TrimSuffix(name, " >>"))
	}
	return list
}

// TestJobsHandOn: a job has the parameters of the commands it uses under the same
// names, types, defaults and descriptions, and gives them on.
func TestJobsHandOn(t *testing.T) {
	orb := packed(t)
	for job, commands := range map[string][]string{"build": {"install", "build"}, "deploy": {"install", "deploy"}} {
		for _, command := range commands {
			for name, want := range at(orb, "commands", command, "parameters").(map[string]any) {
				got := at(orb, "jobs", job, "parameters", name)
				if got == nil || name == "before_promote" { // steps in a job
					continue
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("%s of the command %s (-) and of the job %s (+):\n%s", name, command, job, d)
				}
			}
		}
	}
}

// TestExamplesCompile: what an example uses is there, with its parameters.
func TestExamplesCompile(t *testing.T) {
	orb := packed(t)
	used := map[string]bool{}
	for name, example := range at(orb, "examples").(map[string]any) {
		c := compiler{orb: orb, used: used}
		if err := c.configuration(at(example, "usage").(map[string]any)); err != nil {
			t.Errorf("example %s: %v", name, err)
		}
	}
	for _, kind := range []string{"commands", "jobs", "executors"} {
		for name := range at(orb, kind).(map[string]any) {
			if !used[kind+"/"+name] {
				t.Errorf("no example shows %s/%s", kind, name)
			}
		}
	}
}
