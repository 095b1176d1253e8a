package manifest

import (
	"bytes"
	"errors"
	"slices"
	"strings"
)

// Examine reads a manifest as [Load] does for an app with the environment env, and
// goes on where it can: it returns, in the order of Load's stages, every service
// that lacks a variable and the first fault of the names, each with its place.
// The manifest is nil if it cannot be read. Values of env that the file itself
// does not hold are not shown.
func Examine(data []byte, env map[string]string) (*Manifest, []*Error) {
	m, err := read(data, env)
	if err != nil {
		return nil, concealed(err, data, env)
	}
	var faults []*Error
	for _, s := range m.Services {
		faults = append(faults, concealed(s.checkRequired(env), data, env)...)
	}
	return m, append(faults, concealed(m.validateNames(), data, env)...)
}

// concealed takes an error apart and hides in it what came from a variable and
// may be secret.
func concealed(err error, data []byte, env map[string]string) []*Error {
	var e *Error
	if !errors.As(err, &e) {
		return nil
	}
	var all []*Error
	for _, part := range e.Parts() {
		part := *part
		for _, name := range Variables(data) {
			if value := env[name]; value != "" && !bytes.Contains(data, []byte(value)) {
				part.Message = strings.ReplaceAll(part.Message, value, "...")
			}
		}
		all = append(all, &part)
	}
	return all
}

// Variables returns the NAME of every ${NAME} in a manifest, each once.
func Variables(data []byte) []string {
	var names []string
	for _, m := range placeholder.FindAllSubmatch(data, -1) {
		if name := string(m[1]); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// Required returns the variables that services require, sorted, each once.
func (m *Manifest) Required() []string {
	var names []string
	for _, s := range m.Services {
		names = append(names, s.missing(nil)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
