package ci

import (
	"strings"
)

// Run is what the CI system said when the step began. It is plain data, read
// once; a field is empty when the system did not say.
type Run struct {
	System  string // GitHub, or another of the names above
	Commit  string // full commit id of what is built; for a pull request its head, not the test merge
	Subject string // first line of the commit's message, or a pull request's title
	Fork    bool   // started by a pull request from a fork: the CI system withholds secrets

	ID         string // of the run or the job, as the CI system counts them
	Link       string // URL of the run's page, or of the job's
	Repository string // OWNER/NAME
	Branch     string // of the commit; for a pull request that which it asks to be merged
	Actor      string // who started the run
}

// Detect reads what the CI system said from environ, in the form of
// [os.Environ], and on GitHub from the event file it names. It never fails:
// what cannot be read stays empty.
func Detect(environ []string) Run {
	env := parseEnviron(environ)
	switch system := systemOf(env); system {
	case GitHub:
		return githubRun(env)
	case CircleCI:
		return circleciRun(env)
	case GitLab:
		return gitlabRun(env)
	case Buildkite:
		return buildkiteRun(env)
	case Azure:
		return azureRun(env)
	case TeamCity:
		return teamcityRun(env)
	case Bitbucket:
		return bitbucketRun(env)
	case Woodpecker:
		return woodpeckerRun(env)
	case Drone:
		return droneRun(env)
	default:
		return Run{System: system}
	}
}

// systemOf tells the systems apart by the variable that each sets for that.
func systemOf(env map[string]string) string {
	switch {
	case env["GITHUB_ACTIONS"] == "true":
		return GitHub
	case env["CIRCLECI"] == "true":
		return CircleCI
	case env["GITLAB_CI"] != "":
		return GitLab
	case env["BUILDKITE"] == "true":
		return Buildkite
	case strings.EqualFold(env["TF_BUILD"], "true"):
		return Azure
	case env["TEAMCITY_VERSION"] != "":
		return TeamCity
	case env["BITBUCKET_BUILD_NUMBER"] != "":
		return Bitbucket
	case env["CI"] == "woodpecker", env["CI"] == "crow": // before Drone, whose variables they may set as well
		return Woodpecker
	case env["DRONE"] == "true":
		return Drone
	}
	return Plain
}

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

// joined is OWNER/NAME, "" unless both are known.
func joined(owner, name string) string {
	if owner == "" || name == "" {
		return ""
	}
	return owner + "/" + name
}

// firstLine returns the first line of text without surrounding blanks.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(line)
}

// firstOf returns the first of texts that is not empty.
func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
