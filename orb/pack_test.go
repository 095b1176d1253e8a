package orb_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// source is the orb as it is kept.
func source() fs.FS { return os.DirFS("src") }

// folders are those whose files are components, by the names of the files.
func folders() []string { return []string{"commands", "examples", "executors", "jobs"} }

// include is how a component takes in a script. CircleCI's tool takes it as a whole
// value only, and in all components but examples.
//
// https://circleci.com/docs/orbs/author/orb-author/#file-include-syntax
var include = regexp.MustCompile(`^<<\s*include\(([-\w/.]+)\)\s*>>$`)

// pack makes one document of the source tree, as "circleci orb pack" does.
func pack(src fs.FS) (map[string]any, error) {
	orb, err := readYAML(src, "@orb.yml")
	if err != nil {
		return nil, err
	}
	for _, folder := range folders() {
		components, err := packFolder(src, folder)
		if err != nil {
			return nil, err
		}
		if len(components) > 0 {
			orb[folder] = components
		}
	}
	return orb, nil
}

func packFolder(src fs.FS, folder string) (map[string]any, error) {
	files, err := fs.Glob(src, folder+"/*.yml")
	if err != nil {
		return nil, err
	}
	components := map[string]any{}
	for _, file := range files {
		component, err := readYAML(src, file)
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(path.Base(file), "@") { // belongs to the folder itself
			maps.Copy(components, component)
			continue
		}
		if folder == "examples" {
			components[componentName(file)] = component
			continue
		}
		if components[componentName(file)], err = inline(src, component); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return components, nil
}

func componentName(file string) string { return strings.TrimSuffix(path.Base(file), path.Ext(file)) }

func readYAML(src fs.FS, file string) (map[string]any, error) {
	data, err := fs.ReadFile(src, file)
	if err != nil {
		return nil, err
	}
	var document map[string]any
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return document, nil
}

// inline puts scripts in the place of includes. What looks like a parameter in a
// script is none, and is escaped.
func inline(src fs.FS, value any) (any, error) {
	switch value := value.(type) {
	case map[string]any:
		for name, below := range value {
			replaced, err := inline(src, below)
			if err != nil {
				return nil, err
			}
			value[name] = replaced
		}
	case []any:
		for i, below := range value {
			replaced, err := inline(src, below)
			if err != nil {
				return nil, err
			}
			value[i] = replaced
		}
	case string:
		if m := include.FindStringSubmatch(value); m != nil {
			script, err := fs.ReadFile(src, m[1])
			return strings.ReplaceAll(string(script), "<<", `\<<`), err
		}
		if strings.Contains(value, "include(") {
			return nil, fmt.Errorf("%q is not an include alone", value)
		}
	}
	return value, nil
}

// packed is the orb as it is published.
func packed(t *testing.T) map[string]any {
	t.Helper()
	orb, err := pack(source())
	if err != nil {
		t.Fatal(err)
	}
	return orb
}

func TestPackPutsScriptsInTheirPlace(t *testing.T) {
	orb := packed(t)
	for name, script := range map[string]string{"install": "install.sh", "deploy": "verb.sh", "rollback": "verb.sh"} {
		want, err := fs.ReadFile(source(), "scripts/"+script)
		if err != nil {
			t.Fatal(err)
		}
		text, err := yaml.Marshal(at(orb, "commands", name))
		if err != nil {
			t.Fatal(err)
		}
		var command struct {
			Steps []struct{ Run struct{ Command string } }
		}
		if err := yaml.Unmarshal(text, &command); err != nil {
			t.Fatal(err)
		}
		if got := command.Steps[len(command.Steps)-1].Run.Command; got != string(want) {
			t.Errorf("%s: the command is not %s but %q", name, script, got)
		}
	}
}

// at goes down a document by names; what is not there is nil.
func at(value any, names ...string) any {
	for _, name := range names {
		m, _ := value.(map[string]any)
		value = m[name]
	}
	return value
}
