package ci

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"
)

// errNoOutputFile says that the system named no file for outputs.
var errNoOutputFile = errors.New("the CI system named no file for outputs")

// outputName is what GitHub takes as an id: "=" and "<<" would mean something
// else in the output file.
//
// https://docs.github.com/en/actions/reference/workflows-and-actions/metadata-syntax#outputs
var outputName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// checkOutput refuses what some system could not carry. The value is not
// quoted: nothing is known of what is in it.
func checkOutput(name, value string) error {
	switch {
	case !outputName.MatchString(name):
		return fmt.Errorf("output %q: a name has letters, digits, - and _ only", name)
	case !utf8.ValidString(value):
		return fmt.Errorf("output %s: the value is not UTF-8", name)
	case strings.ContainsRune(value, 0):
		return fmt.Errorf("output %s: the value holds a NUL byte", name)
	}
	return nil
}

// exports returns the variables that an output becomes where outputs are
// variables: BUILD and RELEASE, which Convox's own action exports, and names that
// begin with CONVOX_. Outputs that only repeat others or an input become none: CONVOX_RACK
// is read as an input, so a deploy to one rack would silently turn every later
// step of the job to it. RELEASE is one on purpose, for the step that promotes.
func exports(name string) []string {
	switch name {
	case "build":
		return []string{"CONVOX_BUILD_ID", "BUILD"}
	case "release":
		return []string{"CONVOX_RELEASE_ID", "RELEASE"}
	case "url":
		return []string{"CONVOX_APP_URL"}
	case "app", "rack", "git-sha", "metadata":
		return nil
	}
	return []string{"CONVOX_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))}
}

// assignments returns NAME=value lines for the variables of an output.
func assignments(name, value string) string {
	var lines strings.Builder
	for _, variable := range exports(name) {
		fmt.Fprintf(&lines, "%s=%s\n", variable, value)
	}
	return lines.String()
}

// appendOutput adds the lines of an output to the file that a variable names.
func appendOutput(variable, file, output, lines string) error {
	if lines == "" {
		return nil
	}
	if err := appendFile(file, lines); err != nil {
		return fmt.Errorf("output %s: append to %s: %w", output, variable, err)
	}
	return nil
}

// appendFile adds text to the file at path in one write, so that what another
// process adds at the same time stays whole.
func appendFile(path, text string) (err error) {
	const mode = 0o644 // the next step may run as another user
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = f.WriteString(text)
	return err
}

// outputs is all outputs so far, and where they are kept as JSON.
type outputs struct {
	mu     sync.Mutex
	values map[string]string
	path   string // "" for nowhere
}

func (o *outputs) set(name, value string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.values == nil {
		o.values = make(map[string]string)
	}
	o.values[name] = value
	return o.save()
}

func (o *outputs) all() map[string]string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.values)
}

func (o *outputs) keepAt(path string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.path = path
	if o.values == nil {
		o.values = make(map[string]string)
	}
	return o.save()
}

func (o *outputs) save() error {
	if o.path == "" {
		return nil
	}
	data, err := json.MarshalIndent(o.values, "", "  ")
	if err == nil {
		err = replaceFile(o.path, append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("output file %s: %w", o.path, err)
	}
	return nil
}

// replaceFile puts data at path by renaming a complete file over it.
func replaceFile(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	const dirMode, fileMode = 0o755, 0o644 // the next step may run as another user
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(fileMode), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
