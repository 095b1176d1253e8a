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

// pass appends exports to the file. For outputs it is no error when there is none:
// they are in the file that [Console.OutputFile] keeps.
func (c circleci) pass(to receiver, name, value string) error {
	names := []string{name}
	switch {
	case c.file == "" || to == lastStage:
		return c.plain.pass(to, name, value)
	case to == laterSteps:
		names = exports(name)
	}
	var lines strings.Builder
	for _, variable := range names {
		fmt.Fprintf(&lines, "export %s=%s\n", variable, shellQuote(value))
	}
	if lines.Len() == 0 {
		return nil
	}
	if err := appendFile(c.file, lines.String()); err != nil {
		return fmt.Errorf("output %s: append to BASH_ENV: %w", name, err)
	}
	return nil
}

// exports returns the variables an output becomes. Outputs that only repeat an
// input become none: CONVOX_RACK is read as an input, so a deploy to one rack
// would silently turn every later step of the job to it.
func exports(name string) []string {
	switch name {
	case "build":
		return []string{"CONVOX_BUILD_ID", "BUILD"}
	case "release":
		return []string{"CONVOX_RELEASE_ID", "RELEASE"}
	case "url":
		return []string{"CONVOX_APP_URL"}
	case "app", "rack", "git-sha":
		return nil
	}
	return []string{"CONVOX_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))}
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
		System: CircleCI,
		Commit: env["CIRCLE_SHA1"],
		Fork:   env["CIRCLE_PR_USERNAME"] != "",
	}
}
