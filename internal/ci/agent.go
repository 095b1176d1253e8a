package ci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// agentLimit is how long one call of the agent may take. It sends something small
// to Buildkite, and tries again for longer than a step should wait.
const agentLimit = 10 * time.Second

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
