package ci

import (
	"fmt"
	"strings"
)

// bitbucket is Bitbucket Pipelines: a plain log, and a file of variables, of which
// later steps get those that output-variables names.
//
// https://support.atlassian.com/bitbucket-cloud/docs/variable-sharing/
type bitbucket struct {
	plain
	file string // BITBUCKET_PIPELINES_VARIABLES_PATH; "" when there is none
	warn func(string)
}

// output appends lines to the file, which has no way to write several lines.
func (b bitbucket) output(name, value string) (string, error) {
	if b.file == "" {
		return "", nil
	}
	if strings.ContainsAny(value, "\r\n") {
		b.warn(fmt.Sprintf("output %s is no variable: it has several lines", name))
		return "", nil
	}
	return "", appendOutput("BITBUCKET_PIPELINES_VARIABLES_PATH", b.file, name, assignments(name, value))
}

// bitbucketRun reads Bitbucket's variables. There is none for the message of the
// commit, and pull requests from forks run where the fork is.
//
// https://support.atlassian.com/bitbucket-cloud/docs/variables-and-secrets/
func bitbucketRun(env map[string]string) Run {
	run := Run{
		System:     Bitbucket,
		Commit:     env["BITBUCKET_COMMIT"],
		ID:         env["BITBUCKET_BUILD_NUMBER"],
		Repository: env["BITBUCKET_REPO_FULL_NAME"],
		Branch:     env["BITBUCKET_BRANCH"],
	}
	if origin := env["BITBUCKET_GIT_HTTP_ORIGIN"]; origin != "" {
		run.Link = fmt.Sprintf("%s/pipelines/results/%s", strings.TrimSuffix(origin, ".git"), env["BITBUCKET_BUILD_NUMBER"])
	}
	return run
}
