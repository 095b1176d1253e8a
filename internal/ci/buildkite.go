package ci

import (
	"fmt"
	"regexp"
	"strings"
)

// buildkite is Buildkite: headings in the log, which fold what follows, and the
// agent's own command for the rest, where it can be run.
//
// https://buildkite.com/docs/pipelines/configure/managing-log-output
type buildkite struct {
	plain
	agent *agent
}

// buildkiteGrammar has the headings: three of a kind at the start of a line, and
// a blank.
func buildkiteGrammar() grammar { return grammar{heads: "-+~^"} }

// mask tells the agent, by a file that nobody else sees.
//
// https://buildkite.com/docs/agent/cli/reference/redactor
func (b buildkite) mask(secret string) string {
	b.agent.call(secret, "redactor", "add")
	return ""
}

// group ends with a heading that shows what follows it: there is no other end.
func (b buildkite) group(title string) (open, end string) {
	return "--- " + buildkiteGrammar().harmless(title) + "\n", "+++ Convox\n"
}

// note puts errors and warnings on the page of the build, those of a level
// together. The text may be of others, so it goes into a block of code.
//
// https://buildkite.com/docs/agent/cli/reference/annotate
func (b buildkite) note(n note) string {
	if n.level != LevelNotice {
		b.agent.call(codeBlock(n.String()), "annotate", "--style", string(n.level), "--context", "convox-ci-"+string(n.level), "--append")
	}
	return ""
}

// output becomes meta-data of the build under the names of variables. There is no
// empty meta-data.
//
// https://buildkite.com/docs/agent/cli/reference/meta-data
func (b buildkite) output(name, value string) (string, error) {
	if strings.TrimSpace(value) != "" {
		for _, variable := range exports(name) {
			b.agent.call(value, "meta-data", "set", variable)
		}
	}
	return "", nil
}

// backquotes are what could end a block of code.
var backquotes = regexp.MustCompile("`+")

// codeBlock returns text as a block of code in Markdown, whatever is in it.
func codeBlock(text string) string {
	fence := "```"
	for _, run := range backquotes.FindAllString(text, -1) {
		if len(run) >= len(fence) {
			fence = run + "`"
		}
	}
	return fmt.Sprintf("%s\n%s\n%s\n\n", fence, strings.TrimRight(text, "\n"), fence)
}

// buildkiteRun reads Buildkite's variables. BUILDKITE_COMMIT may be "HEAD", for
// what the agent then checks out.
//
// https://buildkite.com/docs/pipelines/configure/environment-variables
func buildkiteRun(env map[string]string) Run {
	run := Run{
		System:     Buildkite,
		Commit:     env["BUILDKITE_COMMIT"],
		Subject:    firstLine(env["BUILDKITE_MESSAGE"]),
		ID:         env["BUILDKITE_BUILD_NUMBER"],
		Link:       env["BUILDKITE_BUILD_URL"],
		Repository: slug(env["BUILDKITE_REPO"]),
		Branch:     env["BUILDKITE_BRANCH"],
		Actor:      firstOf(env["BUILDKITE_BUILD_CREATOR"], env["BUILDKITE_UNBLOCKER"]),
	}
	if job := env["BUILDKITE_JOB_ID"]; job != "" && run.Link != "" {
		run.Link += "#" + job
	}
	if run.Commit == "HEAD" {
		run.Commit = ""
	}
	from := slug(env["BUILDKITE_PULL_REQUEST_REPO"])
	run.Fork = from != "" && from != run.Repository
	return run
}

// slug returns owner and name of the repository that a URL of git names, in
// either form: git@host:owner/name.git and https://host/owner/name.git.
func slug(url string) string {
	if _, rest, ok := strings.Cut(url, "://"); ok {
		_, url, _ = strings.Cut(rest, "/")
	} else if _, path, ok := strings.Cut(url, ":"); ok {
		url = path
	}
	return strings.TrimSuffix(strings.Trim(url, "/"), ".git")
}
