package ci

import (
	"strings"
)

// Run is what the CI system said when the step began. It is plain data, read
// once; a field is empty when the system did not say.
type Run struct {
	System  string // GitHub, CircleCI or Plain
	Commit  string // full commit id of what is built; for a pull request its head, not the test merge
	Subject string // first line of the commit's message, or a pull request's title
	Fork    bool   // started by a pull request from a fork: the CI system withholds secrets
}

// Detect reads what the CI system said from environ, in the form of
// [os.Environ], and on GitHub from the event file it names. It never fails:
// what cannot be read stays empty.
func Detect(environ []string) Run {
	env := parseEnviron(environ)
	switch {
	case env["GITHUB_ACTIONS"] == "true":
		return githubRun(env)
	case env["CIRCLECI"] == "true":
		return circleciRun(env)
	}
	return Run{System: Plain}
}

// State is what earlier stages of a step have kept under a name, "" for nothing;
// see [Console.Remember].
//
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#sending-values-to-the-pre-and-post-actions
func State(environ []string, name string) string { return parseEnviron(environ)["STATE_"+name] }

// parseEnviron turns NAME=value strings into a map. As in getenv(3), the first
// of two equal names counts.
func parseEnviron(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, e := range environ {
		name, value, ok := strings.Cut(e, "=")
		if _, dup := env[name]; ok && !dup {
			env[name] = value
		}
	}
	return env
}

// firstLine returns the first line of text without surrounding blanks.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(line)
}
