package ci

import (
	"fmt"
	"strings"
)

// circleci is CircleCI: a plain log, and values for later steps as exports in
// the file that bash reads before each of them.
//
// https://circleci.com/docs/guides/security/env-vars/#parameters-and-bash-environment
type circleci struct {
	plain
	file string // BASH_ENV; "" where the shell is not bash
}

// output appends exports to the file. It is no error when there is none: the
// outputs are in the file that [Console.OutputFile] keeps.
func (c circleci) output(name, value string) (string, error) {
	if c.file == "" {
		return "", nil
	}
	var lines strings.Builder
	for _, variable := range exports(name) {
		fmt.Fprintf(&lines, "export %s=%s\n", variable, shellQuote(value))
	}
	return "", appendOutput("BASH_ENV", c.file, name, lines.String())
}

// shellQuote returns value as one word of a POSIX shell, whatever is in it.
func shellQuote(value string) string {
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}

// circleciRun reads CircleCI's built-in variables. CIRCLE_PR_USERNAME is set for
// pull requests from forks only.
//
// https://circleci.com/docs/reference/variables/#built-in-environment-variables
func circleciRun(env map[string]string) Run {
	return Run{
		System:     CircleCI,
		Commit:     env["CIRCLE_SHA1"],
		Fork:       env["CIRCLE_PR_USERNAME"] != "",
		ID:         env["CIRCLE_BUILD_NUM"],
		Link:       env["CIRCLE_BUILD_URL"],
		Repository: joined(env["CIRCLE_PROJECT_USERNAME"], env["CIRCLE_PROJECT_REPONAME"]),
		Branch:     env["CIRCLE_BRANCH"],
		Actor:      env["CIRCLE_USERNAME"],
	}
}
