package rack

import (
	"maps"
	"slices"
	"strings"
)

// Variables are the environment of a release; see [ParseEnv].
func (r Release) Variables() map[string]string { return ParseEnv(r.Env) }

// ParseEnv reads an environment as racks keep it: lines of NAME=VALUE, split at
// the first =. Other lines are passed over; the name is trimmed, the value kept as
// it is.
func ParseEnv(text string) map[string]string {
	env := map[string]string{}
	for line := range strings.SplitSeq(text, "\n") {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\r"), "=")
		if name = strings.TrimSpace(name); ok && name != "" {
			env[name] = value
		}
	}
	return env
}

// FormatEnv writes an environment sorted by name, without a newline at the end.
func FormatEnv(env map[string]string) string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		lines = append(lines, name+"="+env[name])
	}
	return strings.Join(lines, "\n")
}

// EnvChange is in what two environments differ, by sorted names: values may be
// secrets.
type EnvChange struct{ Added, Changed, Removed []string }

// CompareEnv tells in what an environment differs from the one before.
func CompareEnv(from, to map[string]string) EnvChange {
	var c EnvChange
	for _, name := range slices.Sorted(maps.Keys(to)) {
		if old, ok := from[name]; !ok {
			c.Added = append(c.Added, name)
		} else if old != to[name] {
			c.Changed = append(c.Changed, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(from)) {
		if _, ok := to[name]; !ok {
			c.Removed = append(c.Removed, name)
		}
	}
	return c
}

// Empty tells whether nothing differs.
func (c EnvChange) Empty() bool { return len(c.Added)+len(c.Changed)+len(c.Removed) == 0 }

// String is the change in the words of a rack: add:A change:B remove:C.
func (c EnvChange) String() string {
	var words []string
	for _, group := range []struct {
		verb  string
		names []string
	}{{"add:", c.Added}, {"change:", c.Changed}, {"remove:", c.Removed}} {
		for _, name := range group.names {
			words = append(words, group.verb+name)
		}
	}
	return strings.Join(words, " ")
}
