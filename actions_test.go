package convoxci_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
)

// program is where the image has the program, and at the end of other names the
// same program as one verb.
const program = "/usr/local/bin/convox-ci"

// action is one action.yml.
type action struct {
	path  string
	verb  string // "" for the one that has it as an input
	about string
}

// actionFiles are the Actions of this repository. A workflow of Convox's own ones
// finds each of them below actions.
func actionFiles() []action {
	return []action{
		{path: "action.yml", about: "Builds and deploys apps to Convox Racks. A green step means that the release is live."},
		{path: "actions/build/action.yml", verb: "build", about: "Builds an app on a Convox Rack, which makes a release."},
		{path: "actions/deploy/action.yml", verb: "deploy", about: "Builds an app on a Convox Rack and promotes the release. A green step means that it is live."},
		{path: "actions/promote/action.yml", verb: "promote", about: "Promotes a release of an app on a Convox Rack. A green step means that it is live."},
		{path: "actions/run/action.yml", verb: "run", about: "Runs a command once in a service of an app on a Convox Rack."},
		{path: "actions/login/action.yml", verb: "login", about: "Gives a deploy key to the later steps of a job."},
	}
}

// described is an input or an output.
type described struct{ name, text string }

// actionInputs are the inputs of a verb, of all verbs for "". Defaults stand in the
// binary only: one in action.yml would hide what the environment says.
func actionInputs(t *testing.T, verb string) []described {
	t.Helper()
	var list []described
	of := []string{verb}
	if verb == "" {
		of = []string{"build", "deploy", "promote", "run", "check", "login"}
		list = []described{{"action", "what to do: build, deploy, promote, run, check or login (default: build)"}}
	}
	for _, v := range of {
		for _, f := range verbs()[v] {
			i := slices.IndexFunc(list, func(d described) bool { return d.name == f.Name })
			switch {
			case i < 0:
				list = append(list, described{f.Name, f.Usage})
			case list[i].text != f.Usage:
				t.Errorf("%s is described in two ways: %q and %q", f.Name, list[i].text, f.Usage)
			}
		}
	}
	return list
}

// output is one output, with the verbs that write it.
type output struct {
	described
	verbs string
}

// actionOutputs are the outputs of all verbs. Which of its own a verb writes depends
// on how it went.
func actionOutputs() []output {
	return []output{
		{described{"app", "name of the app"}, "build deploy promote run"},
		{described{"rack", "name of the rack"}, "build deploy promote run"},
		{described{"git-sha", "commit recorded on the build"}, "build deploy"},
		{described{"build", "id of the build, as soon as there is one"}, "build deploy"},
		{described{"release", "id of the release, as soon as there is one"}, "build deploy promote"},
		{described{"status", "how it ended: complete, failed, timeout or cancelled; of a promote also rolled-back, superseded or unknown"}, "build deploy promote run"},
		{described{"promoted", "true if the release is live, else false"}, "deploy promote"},
		{described{"previous-release", "id of the release that was active before, empty if there was none"}, "deploy promote"},
		{described{"reason", "why it did not end well"}, "build deploy promote run"},
		{described{"process", "id of the process of a command that was run"}, "run"},
		{described{"url", "where the app is reached, by its only service that can be or by web; not there if there is neither"}, "deploy promote"},
		{described{"urls", "where the services of the app are reached, as JSON, service to list of URLs"}, "deploy promote"},
		{described{"duration", "seconds that the step took"}, "build deploy promote run login"},
		{described{"metadata", "all other outputs as JSON"}, "build deploy promote run login"},
	}
}

// outputsOf are the outputs of a verb, of all verbs for "".
func outputsOf(verb string) []described {
	var list []described
	for _, o := range actionOutputs() {
		if verb == "" || slices.Contains(strings.Fields(o.verbs), verb) {
			list = append(list, o.described)
		}
	}
	return list
}

// TestActions: the files of the Actions say what the structs of inputs say. With
// -update it writes them.
func TestActions(t *testing.T) {
	for _, a := range actionFiles() {
		want := a.text(t)
		if *update {
			if err := os.MkdirAll(filepath.Dir(a.path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(a.path, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(a.path)
		if err != nil {
			t.Error(err)
		}
		if d := cmp.Diff(string(want), string(got)); d != "" {
			t.Errorf("%s differs from the structs (-); go test . -run TestActions -update writes it:\n%s", a.path, d)
		}
	}
}

func (a action) text(t *testing.T) []byte {
	name, entrypoint, image := "Convox CI", program, "Dockerfile"
	if a.verb != "" {
		name, entrypoint, image = "Convox CI "+a.verb, program+"-"+a.verb, "../../Dockerfile"
	}
	inputs := actionInputs(t, a.verb)
	runs := mapping("using", "docker", "image", image, "entrypoint", entrypoint)
	if a.verb != "login" { // which leaves nothing behind
		runs.Content = append(runs.Content, scalar("post-entrypoint"), scalar(program+"-post"))
	}
	if twins := twins(inputs); len(twins.Content) > 0 {
		runs.Content = append(runs.Content, scalar("env"), twins)
	}
	root := mapping("name", name, "author", "convox-ci", "description", a.about)
	root.Content = append(root.Content,
		scalar("branding"), mapping("icon", "upload-cloud", "color", "blue"),
		scalar("inputs"), descriptions(inputs),
		scalar("outputs"), descriptions(outputsOf(a.verb)),
		scalar("runs"), runs)
	var b bytes.Buffer
	b.WriteString("# Written from the structs of inputs by: go test . -run TestActions -update\n")
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(root); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// twins give each input with a hyphen a second name with "_", which a shell in
// between does not lose.
func twins(inputs []described) *yaml.Node {
	m := mapping()
	for _, in := range inputs {
		if twin := strings.ReplaceAll(in.name, "-", "_"); twin != in.name {
			m.Content = append(m.Content, scalar("INPUT_"+strings.ToUpper(twin)), scalar("${{ inputs."+in.name+" }}"))
		}
	}
	return m
}

func descriptions(list []described) *yaml.Node {
	m := mapping()
	for _, d := range list {
		m.Content = append(m.Content, scalar(d.name), mapping("description", d.text))
	}
	return m
}

// mapping is a mapping of texts, keys and values in turn.
func mapping(texts ...string) *yaml.Node {
	m := &yaml.Node{Kind: yaml.MappingNode}
	for _, t := range texts {
		m.Content = append(m.Content, scalar(t))
	}
	return m
}

func scalar(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }
