package actions_test

import (
	"bufio"
	"bytes"
	"io"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestWorkflows runs workflows that check by themselves what they got. The key is no
// secret to act: only what we have it mask is hidden.
func TestWorkflows(t *testing.T) {
	r := need(t, shared.rack)
	for _, app := range []string{"myapp", "myrailsapp", "shop"} {
		r.run(t, "apps", "create", app)
	}
	for _, workflow := range []string{"older-deploy.yml", "older-chain.yml", "older-inputs.yml", "verbs.yml", "failing.yml"} {
		t.Run(workflow, func(t *testing.T) {
			secret := "CONVOX_DEPLOY_KEY=" + key
			given := "--secret"
			if workflow == "verbs.yml" {
				given = "--var"
			}
			said, err := output(act(t, workflow, given, secret))
			if err != nil {
				t.Error(err)
			}
			if strings.Contains(said, key) {
				t.Errorf("the key is shown:\n%s", said)
			}
			if strings.Contains(said, "Unexpected input") {
				t.Errorf("an input is unexpected:\n%s", said)
			}
		})
	}
}

// TestCancelled: who cancels a job ends its build on the rack.
func TestCancelled(t *testing.T) {
	r := need(t, shared.rack)
	r.run(t, "apps", "create", "cancelled")
	secret := "CONVOX_DEPLOY_KEY=" + key
	cmd := act(t, "cancelled.yml", "--secret", secret, "--env", "GATE="+openGate(t).Addr().String())
	said, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	cmd.Stderr = &all
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer late.Stop()
	build := ""
	begun := regexp.MustCompile(`Build: +(B[A-Z]{10})`)
	lines := bufio.NewScanner(io.TeeReader(said, &all))
	for lines.Scan() {
		if m := begun.FindStringSubmatch(lines.Text()); m != nil {
			build = m[1]
		}
		if strings.HasSuffix(lines.Text(), " holding") {
			cmd.Process.Signal(syscall.SIGINT)
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Error("a cancelled job is said to be fine")
	}
	if build == "" {
		t.Fatalf("no build:\n%s", all.String())
	}
	info := r.run(t, "builds", "info", build, "--app", "cancelled")
	if !strings.Contains(info, "the build was cancelled") {
		t.Errorf("on the rack:\n%s\n%s", info, all.String())
	}
}
