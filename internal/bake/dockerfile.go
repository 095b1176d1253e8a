package bake

import "regexp"

// argLine is how a Rack finds the arguments of a Dockerfile: line by line,
// without regard to continuations and heredocs; only the first name counts.
var argLine = regexp.MustCompile(`(?i)^\s*ARG\s+([^=\s]+)`)

// BuildArgs gives NAME=VALUE for each ARG line of a Dockerfile whose name is in
// env, in the order of the lines, each once. Presence decides: an empty value is
// handed over, a name that is not in env keeps the Dockerfile's default.
func BuildArgs(dockerfile string, env map[string]string) []string {
	var args []string
	seen := map[string]bool{}
	for _, line := range lines(dockerfile) {
		m := argLine.FindStringSubmatch(line)
		if m == nil || seen[m[1]] {
			continue
		}
		if value, ok := env[m[1]]; ok {
			seen[m[1]] = true
			args = append(args, m[1]+"="+value)
		}
	}
	return args
}

// stageLine finds a stage named development. A v2 Rack also takes a name that
// only begins so, and then fails because there is no such stage; the name has to
// end here.
var stageLine = regexp.MustCompile(`(?i)^\s*FROM\s+.*\sAS\s+(development)(?:\s|$)`)

// developmentStage is the stage a development build stops at, "" if the
// Dockerfile has none and is built whole.
func developmentStage(dockerfile string) string {
	for _, line := range lines(dockerfile) {
		if m := stageLine.FindStringSubmatch(line); m != nil {
			return m[1]
		}
	}
	return ""
}
