package rack

import "strings"

// Variables are the environment of a release: lines of NAME=VALUE, split at the
// first =. Other lines are passed over; the name is trimmed, the value kept as it
// is.
func (r Release) Variables() map[string]string {
	env := map[string]string{}
	for line := range strings.SplitSeq(r.Env, "\n") {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\r"), "=")
		if name = strings.TrimSpace(name); ok && name != "" {
			env[name] = value
		}
	}
	return env
}
