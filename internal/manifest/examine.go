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
	hide := secret(data, env)
	if err != nil {
		return nil, concealed(err, hide)
	}
	var faults []*Error
	for _, s := range m.Services {
		faults = append(faults, concealed(s.checkRequired(env), hide)...)
	}
	return m, append(faults, concealed(m.validateNames(), hide)...)
}

// concealed takes an error apart and hides in it the values given, which came from
// variables and may be secret.
func concealed(err error, secret []string) []*Error {
	var e *Error
	if !errors.As(err, &e) {
		return nil
	}
	var all []*Error
	for _, part := range e.Parts() {
		part := *part
		for _, value := range secret {
			part.Message = strings.ReplaceAll(part.Message, value, unshown)
		}
		all = append(all, &part)
	}
	return all
}

// secret returns the values that variables bring into a manifest, without those
// that stand in the file itself.
func secret(data []byte, env map[string]string) []string {
	var values []string
	for _, name := range Variables(data) {
		if value := env[name]; value != "" && !bytes.Contains(data, []byte(value)) {
			values = append(values, value)
		}
	}
	return values
}

// Variables returns the NAME of every ${NAME} in a manifest, each once.
func Variables(data []byte) []string {
	var names []string
	known := map[string]bool{}
	for _, m := range placeholder.FindAllSubmatch(data, -1) {
		if name := string(m[1]); !known[name] {
			known[name] = true
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
