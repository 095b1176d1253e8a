package bake

import (
	"regexp"
	"slices"
	"strings"
)

// argLine is how a Rack finds the arguments of a Dockerfile: line by line,
// without regard to continuations and heredocs; only the first name counts.
var argLine = regexp.MustCompile(`(?i)^\s*ARG\s+([^=\s]+)`)

// ArgNames are the names in the ARG lines of a Dockerfile, in the order of the
// lines, each once.
func ArgNames(dockerfile string) []string {
	var names []string
	for _, line := range strings.Split(dockerfile, "\n") {
		m := argLine.FindStringSubmatch(line)
		if m != nil && !slices.Contains(names, m[1]) {
			names = append(names, m[1])
		}
	}
	return names
}

// BuildArgs gives NAME=VALUE for each ARG line of a Dockerfile whose name is in
// env, in the order of the lines, each once. Presence decides: an empty value is
// handed over, a name that is not in env keeps the Dockerfile's default.
func BuildArgs(dockerfile string, env map[string]string) []string {
	var args []string
	for _, name := range ArgNames(dockerfile) {
		if value, ok := env[name]; ok {
			args = append(args, name+"="+value)
		}
	}
	return args
}

// development is the stage that a development build stops at, where there is one.
const development = "development"

// stageLine finds that stage. A v2 Rack also takes a name that only begins so,
// and then fails because there is no such stage; the name has to end here.
var stageLine = regexp.MustCompile(`(?i)^\s*FROM\s+.*\sAS\s+` + development + `(?:\s|$)`)

// DevelopmentStage is the target of a development build, "" if the Dockerfile
// does not have the stage and is built whole.
func DevelopmentStage(dockerfile string) string {
	if slices.ContainsFunc(strings.Split(dockerfile, "\n"), stageLine.MatchString) {
		return development
	}
	return ""
}

// baseLine is how a stage of a Dockerfile begins.
var baseLine = regexp.MustCompile(`(?i)^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?\s*$`)

// Bases are the images in the FROM lines of a Dockerfile, each once. Stages before
// and what depends on arguments are left out.
func Bases(dockerfile string) []string {
	var bases []string
	stages := map[string]bool{"scratch": true}
	for _, line := range strings.Split(dockerfile, "\n") {
		m := baseLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if !stages[strings.ToLower(m[1])] && !strings.Contains(m[1], "$") && !slices.Contains(bases, m[1]) {
			bases = append(bases, m[1])
		}
		stages[strings.ToLower(m[2])] = true
	}
	return bases
}
