package ci

import (
	"fmt"
	"strings"
)

// maxNote is the length of a note in bytes. GitHub cuts a message at 4096
// characters, which are never fewer bytes; TeamCity cuts a build problem at 4000.
const maxNote = 4096

// note is a message that may belong to a line of a file.
type note struct {
	level   Level
	file    string
	line    int
	message string
}

// place is where a note belongs, for a person; "" for nowhere.
func (n note) place() string {
	if n.file != "" && n.line > 0 {
		return fmt.Sprintf("%s:%d", n.file, n.line)
	}
	return n.file
}

// String is a note as lines of text.
func (n note) String() string {
	place := n.place()
	if place != "" {
		place += ": "
	}
	return fmt.Sprintf("%s%s: %s\n", place, n.level, strings.TrimRight(n.message, "\n"))
}

// system is how one CI system is spoken to: its words, and where values for
// later steps go. Text handed to it is masked already. Commands it returns are
// whole lines, "" where it has none; a note without one is printed as text. Its
// methods are called one at a time.
type system interface {
	mask(secret string) (command string)
	group(title string) (open, end string)
	note(n note) (command string)
	hush() (stop, resume string) // commands off and on again
	output(name, value string) (command string, err error)
}

// newSystem returns how a system is spoken to and how it reads a log. What goes
// wrong on the way to it, and need not stop anybody, is told to warn.
func newSystem(name string, environ []string, warn func(string)) (system, grammar) {
	env := parseEnviron(environ)
	switch name {
	case GitHub:
		return github{file: env["GITHUB_OUTPUT"], summary: env["GITHUB_STEP_SUMMARY"],
			variables: env["GITHUB_ENV"], state: env["GITHUB_STATE"]}, githubGrammar()
	case CircleCI:
		return circleci{file: env["BASH_ENV"]}, grammar{}
	case GitLab:
		return newGitLab(env, warn), gitlabGrammar()
	case Buildkite:
		return buildkite{agent: findAgent(env["PATH"], environ, warn)}, buildkiteGrammar()
	case Azure:
		return azure{}, azureGrammar()
	case TeamCity:
		return teamcity{}, teamcityGrammar()
	case Bitbucket:
		return bitbucket{file: env["BITBUCKET_PIPELINES_VARIABLES_PATH"], warn: warn}, grammar{}
	case Drone:
		return drone{file: env["DRONE_OUTPUT"], warn: warn}, grammar{}
	}
	return plain{}, grammar{}
}
