// Package commit finds out which commit a directory is a checkout of.
package commit

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// Commit is what is known of the commit a directory was checked out from.
type Commit struct {
	SHA     string // full id, "" if not known
	Subject string // first line of its message, "" if not known
	Dirty   bool   // files that git tracks differ from the commit
}

// shortSHA is how many digits of an id stand in a description, as the official
// clients have it.
const shortSHA = 10

// Description says in a line what was built: build, the short id and the
// subject. It is "" for a directory that differs from its commit, and for an
// unknown commit.
func (c Commit) Description() string {
	if c.SHA == "" || c.Dirty {
		return ""
	}
	return strings.TrimSpace(fmt.Sprintf("build %.*s %s", shortSHA, c.SHA, c.Subject))
}

// Read completes what the CI system said about the commit of dir with what git
// says, if there is a git and dir is in a checkout. What the CI system said
// wins: in a pull request, HEAD is a merge that nobody has written. environ is
// handed to git.
func Read(ctx context.Context, dir string, said Commit, environ []string) Commit {
	g := git{dir: dir, environ: trusting(environ)}
	head, err := g.run(ctx, "rev-parse", "--verify", "HEAD")
	if err != nil {
		return said
	}
	c := said
	if c.SHA == "" {
		c.SHA, c.Subject = head, ""
	}
	if subject, err := g.run(ctx, "log", "-n", "1", "--format=%s", c.SHA, "--"); err == nil && c.Subject == "" {
		c.Subject = subject
	}
	_, err = g.run(ctx, "diff", "--quiet", "--no-ext-diff", "HEAD", "--", ".")
	var exit *exec.ExitError
	c.Dirty = errors.As(err, &exit) && exit.ExitCode() == 1
	return c
}

// git asks the git program about one directory.
type git struct {
	dir     string
	environ []string
}

func (g git) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Env = g.dir, g.environ
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// trusting adds to an environment that git may read a checkout that belongs to
// another user, as every checkout does inside a container. It holds for the one
// call and writes no configuration.
// https://git-scm.com/docs/git-config#ENVIRONMENT
func trusting(environ []string) []string {
	const count = "GIT_CONFIG_COUNT="
	n := 0
	var kept []string
	for _, e := range environ {
		if value, ok := strings.CutPrefix(e, count); ok {
			n, _ = strconv.Atoi(value)
			continue
		}
		kept = append(kept, e)
	}
	return append(kept, fmt.Sprintf("%s%d", count, n+1),
		fmt.Sprintf("GIT_CONFIG_KEY_%d=safe.directory", n), fmt.Sprintf("GIT_CONFIG_VALUE_%d=*", n))
}
