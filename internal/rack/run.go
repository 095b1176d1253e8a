package rack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"time"
)

const (
	startTimeout  = 5 * time.Minute // for a process to run: an instance may have to be started for it
	startInterval = time.Second     // between looks at it
	heldSpare     = time.Hour       // at most, that a container outlives its command's limit: it is ended long before
	stopLimit     = 4 * time.Second // for ending a process that nobody waits for any more
)

// Job is a command that is run once, in a process of its own.
type Job struct {
	Service string
	Command string // handed to a shell on v2 racks, taken apart into words on v3
	Release string // whose image and environment it has; "" is the active one
	Limit   time.Duration
	Input   io.Reader            // nil: there is none
	Output  io.Writer            // takes what the command prints
	Began   func(process string) // told of the process once there is one; nil for nobody
}

// CommandError says that a command cannot be sent to a rack as it is.
type CommandError struct{ Reason string }

func (e *CommandError) Error() string { return e.Reason }

// Run runs a command to its end and returns its exit status. The process is
// ended afterwards, whatever happened. An error means that the command did not
// run, or that nobody knows its status: see [NoStatusError].
//
// A stream that breaks ends nothing: where the container has a shell, the command
// leaves a record of its end, which is read then.
func (c *Client) Run(ctx context.Context, app App, j Job) (int, error) {
	fit, err := app.Fit(j.Command)
	if err != nil {
		return 0, err
	}
	p, err := c.startHeld(ctx, app, j)
	if p.ID != "" {
		defer func() {
			within, done := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
			defer done()
			if err := c.StopProcess(within, app.Name, p.ID); err != nil {
				c.notice(fmt.Sprintf("process %s could not be ended: %v", p.ID, err))
			}
		}()
	}
	if err != nil {
		return 0, err
	}
	if j.Began != nil {
		j.Began(p.ID)
	}
	if err := c.awaitRunning(ctx, app.Name, p.ID); err != nil {
		return 0, err
	}
	r := &running{client: c, app: app, process: p.ID, job: j, plain: fit, input: &fed{from: j.Input}, token: strings.ToLower(rand.Text())}
	if err := r.prepare(ctx, p.Release); err != nil {
		return 0, err
	}
	if r.keeps {
		return r.recorded(ctx)
	}
	return r.once(ctx)
}

// startHeld starts a process that does nothing until the command is run in it.
// It sleeps a number of seconds that hardly another one does, by which it is
// recognised where the answer is lost.
func (c *Client) startHeld(ctx context.Context, app App, j Job) (Process, error) {
	seconds := int(j.Limit.Seconds()) + 60 + mathrand.N(int(heldSpare.Seconds())-60)
	o := RunOptions{Command: fmt.Sprintf("sleep %d", seconds), Release: j.Release}
	return c.BeginProcess(ctx, app.Name, j.Service, o)
}

// BeginProcess is [Client.StartProcess], made exactly once: where the answer is
// lost it looks among the app's processes for one that is new and runs the same.
// See [Client.StartBuild] for what that means. The command is one that
// [App.Fit] gave.
func (c *Client) BeginProcess(ctx context.Context, app, service string, o RunOptions) (Process, error) {
	before, unknown := c.Processes(ctx, app) // a key may be allowed to run, and not to list
	return once(ctx, c, deed[Process]{
		what: "start the process",
		id:   func(p Process) string { return p.ID },
		do:   func(ctx context.Context) (Process, error) { return c.StartProcess(ctx, app, service, o) },
		find: func(ctx context.Context) ([]Process, error) {
			if unknown != nil {
				return nil, unknown
			}
			now, err := c.Processes(ctx, app)
			return slices.DeleteFunc(now, func(p Process) bool {
				return p.Command != o.Command || p.Name != service || slices.ContainsFunc(before, func(old Process) bool { return old.ID == p.ID })
			}), err
		},
	})
}

// awaitRunning waits until a process has been seen running twice in a row, since
// some die as soon as they have begun.
func (c *Client) awaitRunning(ctx context.Context, app, process string) error {
	within, done := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("process %s does not run after %s", process, startTimeout))
	defer done()
	polls := newPolls()
	for seen := 0; ; {
		p, err := c.Process(within, app, process)
		switch {
		case within.Err() != nil:
			return context.Cause(within)
		case polls.hopeless(err) && errors.Is(err, ErrNotFound): // which is no matter of a wrong name
			return fmt.Errorf("process %s is gone before anything could be run in it", process)
		case polls.hopeless(err):
			return fmt.Errorf("process %s: %w", process, err)
		case err == nil && p.ended():
			return fmt.Errorf("process %s is %s before anything could be run in it", process, p.Status)
		case err == nil && p.Status == ProcessRunning:
			if seen++; seen == 2 {
				return nil
			}
		default:
			seen = 0
		}
		if err := sleep(within, startInterval); err != nil {
			return err
		}
	}
}

// ended tells whether nothing can be run in the process any more.
func (p Process) ended() bool {
	switch p.Status {
	case ProcessStopped, ProcessComplete, ProcessFailed, ProcessCrashed:
		return true
	}
	return false
}
