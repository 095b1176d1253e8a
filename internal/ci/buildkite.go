package ci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// agentLimit is how long one call of the agent may take. It sends something small
// to Buildkite, and tries again for longer than a step should wait.
const agentLimit = 10 * time.Second

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

// agent is buildkite-agent, which is there on the machine of a job and may not be
// in a container; nil when it is not.
type agent struct {
	path    string
	environ []string
	warn    func(string)
	broken  bool
}

// findAgent looks for the agent in the directories of a PATH.
func findAgent(path string, environ []string, warn func(string)) *agent {
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) { // the source of somebody else, perhaps
			continue
		}
		if found, err := exec.LookPath(filepath.Join(dir, "buildkite-agent")); err == nil {
			return &agent{path: found, environ: environ, warn: warn}
		}
	}
	return nil
}

// call runs the agent with input, which nobody sees in a list of processes. When
// that fails a warning says so, and it is not tried again: a run must not fail,
// and not wait for the same thing ten times.
func (a *agent) call(input string, args ...string) {
	if a == nil || a.broken {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), agentLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, a.path, args...)
	cmd.Env, cmd.Stdin = a.environ, strings.NewReader(input)
	cmd.WaitDelay = time.Second // for what it left running
	said, err := cmd.CombinedOutput()
	if err == nil {
		return
	}
	if ctx.Err() != nil {
		err = errors.New("took too long")
	}
	a.broken = true
	const shown = 300 // bytes: the reason, and no log
	reason := strings.TrimSpace(string(bytes.ToValidUTF8(said, nil)))
	a.warn(fmt.Sprintf("buildkite-agent %s: %v: %s", args[0], err, cut(firstLine(reason), shown)))
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
