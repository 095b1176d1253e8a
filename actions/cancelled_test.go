package actions_test

import (
	"bufio"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// cancellation is a way to end a step, by the job of cancelled.yml that is ended so.
type cancellation struct {
	job string
	end func(t *testing.T, runner *exec.Cmd, job string)
	// log is what has to be in the log of the runner.
	log string
	// fails says whether the runner does.
	fails bool
}

// TestCancelled: whichever way a step is ended while its build is running, the build
// is cancelled on the rack, and what there was of it is in the outputs.
//
// What is act's part: it makes the containers, collects what the step has written, and
// runs the last stage of the Action after the steps. What is the test's: act does
// not hand a signal on, neither Ctrl-C nor that of a timeout, so that the test
// sends to the container what GitHub's runner does by way of the docker command.
func TestCancelled(t *testing.T) {
	for _, c := range []cancellation{
		{job: "interrupted", end: interruptStep, log: "was cancelled on the rack"},
		{job: "killed", end: killStep, log: lastStage},
		{job: "abandoned", end: interruptRunner, log: lastStage, fails: true},
	} {
		t.Run(c.job, func(t *testing.T) {
			t.Parallel()
			need(t, shared.rack).run(t, "apps", "create", "job-"+c.job)
			log, err := c.run(t)
			if (err != nil) != c.fails || !strings.Contains(log, c.log) || strings.Contains(log, key) {
				t.Errorf("the runner ends with %v:\n%s", err, log)
			}
			build := ran.FindStringSubmatch(log)
			if build == nil {
				t.Fatalf("no output says which build it was:\n%s", log)
			}
			need(t, shared.rack).wasCancelled(t, "job-"+c.job, build[1])
		})
	}
}

// ran is the line of act for the output that names the build.
var ran = regexp.MustCompile(`::set-output:: build=(\w+)`)

// lastStage is what the last stage of the Action says when it has had work to do.
const lastStage = "was still running when its step had ended; it was cancelled"

// run runs the job, and ends its step when the build is running.
func (c cancellation) run(t *testing.T) (log string, err error) {
	t.Helper()
	runner := act(t, "cancelled.yml", "--job", c.job, "--secret", "CONVOX_DEPLOY_KEY="+key, "--var", "GATE="+openGate(t).Addr().String())
	said, err := runner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	runner.Stderr = runner.Stdout
	if err := runner.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(jobLimit, func() { runner.Process.Kill() })
	defer late.Stop()
	var all []string
	ending := false // what a step said last may be shown again
	for lines := bufio.NewScanner(said); lines.Scan(); {
		all = append(all, lines.Text())
		if !ending && strings.HasSuffix(lines.Text(), " holding") {
			ending = true
			c.end(t, runner, c.job)
		}
	}
	err = runner.Wait()
	return strings.Join(all, "\n"), err
}

// stepOf is the container that act made for the step of a job.
func stepOf(t *testing.T, job string) string {
	t.Helper()
	container := strings.TrimSpace(docker(t, "ps", "--quiet", "--filter", "ancestor="+tag, "--filter", "name=act-cancelled-yml-"+job))
	if container == "" || strings.Contains(container, "\n") {
		t.Fatalf("containers of %s: %q", job, container)
	}
	return container
}

// interruptStep ends a step as GitHub's runner does: it interrupts, asks to end, and
// kills the docker command, which hands the first two on. The step must end by the
// first, and in time: a status of 137 is that of a container that was killed.
func interruptStep(t *testing.T, _ *exec.Cmd, job string) {
	container := stepOf(t, job)
	ended := make(chan string, 1)
	go func() {
		status, err := output(need(t, shared.engine).Command(t.Context(), "wait", container))
		if err != nil {
			status = err.Error()
		}
		ended <- strings.TrimSpace(status)
	}()
	for _, s := range []struct {
		signal string
		grace  time.Duration // that the runner leaves before the next
	}{{"INT", 7500 * time.Millisecond}, {"TERM", 2500 * time.Millisecond}, {"KILL", patience}} {
		docker(t, "kill", "--signal", s.signal, container)
		select {
		case status := <-ended:
			if status != "130" {
				t.Errorf("the step ends with %s, after %s", status, s.signal)
			}
			return
		case <-time.After(s.grace):
		}
	}
}

// killStep leaves the step no time.
func killStep(t *testing.T, _ *exec.Cmd, job string) { docker(t, "kill", stepOf(t, job)) }

// interruptRunner is Ctrl-C. act ends the job by that, and leaves the container to be
// killed when it makes that of the last stage.
func interruptRunner(t *testing.T, runner *exec.Cmd, _ string) {
	runner.Process.Signal(os.Interrupt)
}
