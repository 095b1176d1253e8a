package ci

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// dotenvFile is where outputs are in the project's directory, for a job that says
// artifacts: {reports: {dotenv: convox-ci.env}}.
const dotenvFile = "convox-ci.env"

// maxDotenv is the length in bytes that GitLab refuses such a file from.
const maxDotenv = 5 * 1024

// gitlab is GitLab CI/CD: sections in the log, and values for later jobs in a
// dotenv report.
//
// https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections
// https://docs.gitlab.com/ci/yaml/artifacts_reports/#artifactsreportsdotenv
type gitlab struct {
	plain
	file     string // "" when there is no directory for it
	warn     func(string)
	sections int // begun so far
}

func newGitLab(env map[string]string, warn func(string)) *gitlab {
	g := &gitlab{warn: warn}
	if dir := env["CI_PROJECT_DIR"]; dir != "" {
		g.file = filepath.Join(dir, dotenvFile)
	}
	return g
}

// gitlabGrammar has the beginnings of section markers, which count anywhere. They
// also need a carriage return and a control sequence that do not go through.
func gitlabGrammar() grammar { return grammar{marks: []string{"section_start:", "section_end:"}} }

func (g *gitlab) group(title string) (open, end string) {
	g.sections++
	marker := func(edge, options, title string) string {
		return fmt.Sprintf("\x1b[0Ksection_%s:%d:convox_ci_%d%s\r\x1b[0K%s\n", edge, time.Now().Unix(), g.sections, options, title)
	}
	return marker("start", "[collapsed=true]", gitlabGrammar().harmless(title)), marker("end", "", "")
}

// output sets the variables of an output in the file, in place of what an earlier
// step of the job may have set. The file has no quotes, so a value of several
// lines or with blanks around it cannot be in it; an empty one is left out, as
// empty means unset. GitLab refuses a file that is too big as a whole.
func (g *gitlab) output(name, value string) (string, error) {
	if g.file == "" || exports(name) == nil {
		return "", nil
	}
	if strings.ContainsAny(value, "\r\n") || strings.TrimSpace(value) != value {
		g.warn(fmt.Sprintf("output %s is not in %s: it has several lines or blanks around it", name, dotenvFile))
		value = ""
	}
	before, err := os.ReadFile(g.file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("output %s: read %s: %w", name, dotenvFile, err)
	}
	after := without(string(before), exports(name))
	if value != "" {
		if added := assignments(name, value); len(after)+len(added) < maxDotenv {
			after += added
		} else {
			g.warn(fmt.Sprintf("output %s is not in %s: the file would be too big for GitLab", name, dotenvFile))
		}
	}
	if after == string(before) {
		return "", nil
	}
	if err := replaceFile(g.file, []byte(after)); err != nil {
		return "", fmt.Errorf("output %s: write %s: %w", name, dotenvFile, err)
	}
	return "", nil
}

// without returns NAME=value lines but those of some variables.
func without(lines string, variables []string) string {
	var kept strings.Builder
	for line := range strings.Lines(lines) {
		ours := false
		for _, variable := range variables {
			ours = ours || strings.HasPrefix(line, variable+"=")
		}
		if !ours {
			kept.WriteString(strings.TrimSuffix(line, "\n") + "\n")
		}
	}
	return kept.String()
}

// gitlabRun reads GitLab's predefined variables. In a pipeline for merged results
// the commit is a merge that nobody made; of others CI_COMMIT_SHA is the head.
//
// https://docs.gitlab.com/ci/variables/predefined_variables/
func gitlabRun(env map[string]string) Run {
	run := Run{
		System:     GitLab,
		Commit:     firstOf(env["CI_MERGE_REQUEST_SOURCE_BRANCH_SHA"], env["CI_COMMIT_SHA"]),
		Subject:    firstLine(firstOf(env["CI_MERGE_REQUEST_TITLE"], env["CI_COMMIT_TITLE"])),
		ID:         env["CI_JOB_ID"],
		Link:       env["CI_JOB_URL"],
		Repository: env["CI_PROJECT_PATH"],
		Branch:     firstOf(env["CI_MERGE_REQUEST_SOURCE_BRANCH_NAME"], env["CI_COMMIT_BRANCH"]),
		Actor:      env["GITLAB_USER_LOGIN"],
	}
	source := env["CI_MERGE_REQUEST_SOURCE_PROJECT_ID"]
	run.Fork = source != "" && source != env["CI_MERGE_REQUEST_PROJECT_ID"]
	return run
}
