package orb_test

import (
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// sourceURL is where the project is published.
const sourceURL = "https://github.com/convox-ci/convox-ci"

// longestCommand is the number of characters from which a command has to be in a
// file of its own, as orb-tools has it.
const longestCommand = 64

// shortestDescription is the number of characters that the orb's description needs.
const shortestDescription = 64

// rules are what CircleCI asks of an orb before it calls it good, by the names of
// its review. Each returns what breaks it.
//
// https://circleci.com/docs/orbs/author/orbs-best-practices/
var rules = map[string]func(tree) []string{
	"RC001": hasSource,
	"RC002": hasDescriptions,
	"RC003": hasExamples,
	"RC004": hasTellingNames,
	"RC005": hasLongDescription,
	"RC006": hasRightSource,
	"RC007": hasRightHome,
	"RC008": hasNamedSteps,
	"RC009": hasShortCommands,
	"RC010": hasSnakeCase,
	"RC011": hasCurrentExamples,
	"RC012": hasNoVariableInKeys,
}

// tree is a source tree, with its files parsed.
type tree struct {
	root       map[string]any
	components map[string]map[string]any // by file
	files      fs.FS
}

func readTree(src fs.FS) (tree, error) {
	t := tree{components: map[string]map[string]any{}, files: src}
	var err error
	if t.root, err = readYAML(src, "@orb.yml"); err != nil {
		return t, err
	}
	for _, folder := range folders() {
		files, err := fs.Glob(src, folder+"/*.yml")
		if err != nil {
			return t, err
		}
		for _, file := range files {
			if t.components[file], err = readYAML(src, file); err != nil {
				return t, err
			}
		}
	}
	return t, nil
}

// review returns the violations, each with its rule and its place.
func review(src fs.FS) ([]string, error) {
	t, err := readTree(src)
	if err != nil {
		return nil, err
	}
	var found []string
	for rule, check := range rules {
		for _, violation := range check(t) {
			found = append(found, rule+" "+violation)
		}
	}
	slices.Sort(found)
	return found, nil
}

func text(value any) string { s, _ := value.(string); return strings.TrimSpace(s) }

func hasSource(t tree) []string {
	if text(at(t.root, "display", "source_url")) == "" {
		return []string{"@orb.yml: no source_url"}
	}
	return nil
}

func hasDescriptions(t tree) (list []string) {
	for file, c := range t.components {
		if text(c["description"]) == "" {
			list = append(list, file+": no description")
		}
		parameters, _ := c["parameters"].(map[string]any)
		for name, p := range parameters { // which the review leaves out
			if text(at(p, "description")) == "" {
				list = append(list, file+": no description of "+name)
			}
		}
	}
	return list
}

func hasExamples(t tree) []string {
	for file := range t.components {
		if path.Dir(file) == "examples" {
			return nil
		}
	}
	return []string{"examples: none"}
}

func hasTellingNames(t tree) (list []string) {
	for file := range t.components {
		if path.Dir(file) == "examples" && strings.Contains(path.Base(file), "example") {
			list = append(list, file+": the name says nothing")
		}
	}
	return list
}

func hasLongDescription(t tree) []string {
	if n := len(text(t.root["description"])); n < shortestDescription {
		return []string{fmt.Sprintf("@orb.yml: the description has %d characters", n)}
	}
	return nil
}

// The review fetches both URLs. Tests reach no other machine: these compare the
// first with the module's path, and look for what the second shows.
func hasRightSource(t tree) []string {
	if s := text(at(t.root, "display", "source_url")); s != "" && s != sourceURL {
		return []string{"@orb.yml: source_url is " + s}
	}
	return nil
}

func hasRightHome(t tree) []string {
	home := text(at(t.root, "display", "home_url"))
	if home == "" {
		return nil
	}
	if u, err := url.Parse(home); err != nil || home != sourceURL+"/tree/main/orb" || u.Scheme != "https" {
		return []string{"@orb.yml: home_url is " + home}
	}
	return nil
}

// runs calls do with every run step of a component, wherever in it.
func runs(value any, do func(run any)) {
	switch value := value.(type) {
	case map[string]any:
		for name, below := range value {
			if name == "run" {
				do(below)
			}
			runs(below, do)
		}
	case []any:
		for _, below := range value {
			runs(below, do)
		}
	}
}

// runSteps are those of jobs and commands: in examples they are the user's.
func runSteps(t tree, check func(run any) string) (list []string) {
	for file, c := range t.components {
		if path.Dir(file) == "examples" {
			continue
		}
		runs(c["steps"], func(run any) {
			if fault := check(run); fault != "" {
				list = append(list, file+": "+fault)
			}
		})
	}
	return list
}

func hasNamedSteps(t tree) []string {
	return runSteps(t, func(run any) string {
		if text(at(run, "name")) == "" {
			return "a run step has no name"
		}
		return ""
	})
}

func hasShortCommands(t tree) []string {
	return runSteps(t, func(run any) string {
		command := text(at(run, "command"))
		if command == "" {
			command = text(run)
		}
		if len(command) > longestCommand && !strings.HasPrefix(command, "<<include(") {
			return fmt.Sprintf("a command of %d characters", len(command))
		}
		return ""
	})
}

func hasSnakeCase(t tree) (list []string) {
	for file, c := range t.components {
		if path.Dir(file) == "examples" {
			continue
		}
		if strings.Contains(path.Base(file), "-") {
			list = append(list, file+": is not in snake case")
		}
		parameters, _ := c["parameters"].(map[string]any)
		for name := range parameters {
			if strings.Contains(name, "-") {
				list = append(list, file+": "+name+" is not in snake case")
			}
		}
	}
	return list
}

// version is that of convox-ci which the orb installs, and so the orb's own.
func version(t tree) string {
	return text(at(t.components["commands/install.yml"], "parameters", "version", "default"))
}

func hasCurrentExamples(t tree) (list []string) {
	major, _, _ := strings.Cut(version(t), ".")
	for file, c := range t.components {
		if path.Dir(file) != "examples" {
			continue
		}
		_, used, _ := strings.Cut(text(at(c, "usage", "orbs", "convox")), "@")
		if got, _, _ := strings.Cut(used, "."); got != major {
			list = append(list, fmt.Sprintf("%s: uses version %q, the orb is %s", file, used, version(t)))
		}
	}
	return list
}

var usesVariable = regexp.MustCompile(`\$.`)

func hasNoVariableInKeys(t tree) (list []string) {
	for file, c := range t.components {
		parameters, _ := c["parameters"].(map[string]any)
		for name, p := range parameters {
			if usesVariable.MatchString(text(at(p, "default"))) && feedsKey(c, "", "parameters."+name) {
				list = append(list, file+": "+name+" has a variable as its default and feeds a key")
			}
		}
	}
	return list
}

// feedsKey tells whether a text with a reference is the value of a name that ends
// in key.
func feedsKey(value any, name, reference string) bool {
	switch value := value.(type) {
	case map[string]any:
		for below, v := range value {
			if feedsKey(v, below, reference) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(value, func(v any) bool { return feedsKey(v, name, reference) })
	case string:
		return strings.HasSuffix(name, "key") && strings.Contains(value, reference)
	}
	return false
}

func TestReview(t *testing.T) {
	found, err := review(source())
	if err != nil {
		t.Fatal(err)
	}
	for _, violation := range found {
		t.Error(violation)
	}
}

// TestReviewFindsWhatIsWrong breaks one rule at a time.
func TestReviewFindsWhatIsWrong(t *testing.T) {
	replace := func(file, old, text string) func(fstest.MapFS) error {
		return func(m fstest.MapFS) error {
			if !strings.Contains(string(m[file].Data), old) {
				return fmt.Errorf("%s has no %q", file, old)
			}
			m[file] = &fstest.MapFile{Data: []byte(strings.Replace(string(m[file].Data), old, text, 1))}
			return nil
		}
	}
	move := func(from, to string) func(fstest.MapFS) error {
		return func(m fstest.MapFS) error {
			m[to] = m[from]
			delete(m, from)
			return nil
		}
	}
	const include = "command: <<include(scripts/install.sh)>>"
	for _, tt := range []struct {
		name, want string
		spoil      func(fstest.MapFS) error
	}{
		{"no source", "RC001 @orb.yml: no source_url", replace("@orb.yml", "source_url", "x")},
		{"no description", "RC002 executors/cli.yml: no description", replace("executors/cli.yml", "description: The", "x: The")},
		{"empty description", "RC002 commands/run.yml: no description of service", replace("commands/run.yml", "description: service whose image and environment the command has", `description: ""`)},
		{"no examples", "RC003 examples: none", func(m fstest.MapFS) error {
			for file := range m {
				if path.Dir(file) == "examples" {
					delete(m, file)
				}
			}
			return nil
		}},
		{"name", "RC004 examples/example_1.yml: the name says nothing", move("examples/run_a_command.yml", "examples/example_1.yml")},
		{"short description", "RC005 @orb.yml: the description has 5 characters", replace("@orb.yml", "description: >", "description: short\nx: >")},
		{"source", "RC006 @orb.yml: source_url is https://github.com/convox-ci/moved", replace("@orb.yml", "source_url: "+sourceURL, "source_url: https://github.com/convox-ci/moved")},
		{"home", "RC007 @orb.yml: home_url is " + sourceURL + "/tree/main/circleci", replace("@orb.yml", "/tree/main/orb", "/tree/main/circleci")},
		{"step without name", "RC008 commands/install.yml: a run step has no name", replace("commands/install.yml", "name: << parameters.step_name >>", "when: always")},
		{"step as text", "RC008 jobs/build.yml: a run step has no name", replace("jobs/build.yml", "- checkout\n", "- run: git fetch\n")},
		{"long command", "RC009 commands/install.yml: a command of 65 characters", replace("commands/install.yml", include, "command: "+strings.Repeat("x", 65))},
		{"parameter", "RC010 commands/install.yml: install-path is not in snake case", replace("commands/install.yml", "install_path:", "install-path:")},
		{"file", "RC010 executors/big-machine.yml: is not in snake case", move("executors/machine.yml", "executors/big-machine.yml")},
		{"old example", `RC011 examples/roll_back.yml: uses version "0.9", the orb is 1.0.0`, replace("examples/roll_back.yml", "convox@1", "convox@0.9")},
		{"key", "RC012 commands/build.yml: rack has a variable as its default and feeds a key", replace("commands/build.yml", "keep: true", "cache_key: << parameters.rack >>")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spoilt := fstest.MapFS{}
			if err := fs.WalkDir(source(), ".", func(file string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				data, err := fs.ReadFile(source(), file)
				spoilt[file] = &fstest.MapFile{Data: data}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if err := tt.spoil(spoilt); err != nil {
				t.Fatal(err)
			}
			found, err := review(spoilt)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff([]string{tt.want}, found); d != "" {
				t.Errorf("wanted (-) and found (+):\n%s", d)
			}
		})
	}
}
