package ci

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"
)

// receiver is who gets a value that is passed on.
type receiver int

const (
	laterSteps       receiver = iota // which ask for it as an output
	laterEnvironment                 // later steps, as a variable of their environment
	lastStage                        // of the same step
)

// errNoFile says that the system named no file to pass a value on by.
var errNoFile = errors.New("the CI system named no file for it")

// ErrNoEnvironment says that a CI system cannot give later steps a variable.
var ErrNoEnvironment = errors.New("this CI system has no way to give later steps a variable")

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
