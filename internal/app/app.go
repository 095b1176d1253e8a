// Package app is one run of the binary: from the environment to a verb, its
// outputs and an exit status. It is the only place that wires the others.
package app

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/summary"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// Streams are the process's. What a run says goes to Out, as CI systems read the
// two at once and mix them; Err gets only what Out could not take, and what is said
// beside a report for programs.
type Streams struct {
	In       io.Reader // what is piped into the process; nil if nothing is
	Out, Err io.Writer
}

// Signal is the cause of a run's end by a signal.
type Signal syscall.Signal

func (s Signal) Error() string { return "cancelled by signal: " + syscall.Signal(s).String() }

// Status is the exit status that shells expect.
func (s Signal) Status() int { return 128 + int(s) }

// process is what the verbs share of this run of the binary.
type process struct {
	args    []string
	environ []string
	run     ci.Run
	console *ci.Console
	streams Streams
	voice   *voice // that the console speaks with
	local   bool   // the rack is in this process
	workbench

	role    workflow.AWSRole // that this run has on AWS
	verb    string           // that is carried out, by its name
	summary bool             // is wanted
	told    *summary.Report  // of this run; nil until something is done
}

// workbench is what builds on this machine.
type workbench struct {
	engine io.Closer // nil until one is used
	keys   keyring   // of what is built from; empty for that of the machine
}

// voice is the stream on which everything is said. It is settled before anything
// is, and knows when something was said last.
type voice struct {
	io.Writer
	last atomic.Int64 // in nanoseconds of Unix time
}

func (v *voice) Write(p []byte) (int, error) {
	v.last.Store(time.Now().UnixNano())
	return v.Writer.Write(p)
}

func (v *voice) lastWord() time.Time { return time.Unix(0, v.last.Load()) }

// Main runs the binary with arguments and environment, in the form of
// [os.Args] and [os.Environ], and returns the exit status.
func Main(ctx context.Context, args, environ []string, s Streams) int {
	logrus.SetOutput(io.Discard) // where the registry and BuildKit write their own logs
	run := ci.Detect(environ)
	v := &voice{Writer: s.Out}
	p := &process{args: args, environ: environ, run: run, console: ci.Open(run, environ, v), streams: s, voice: v}
	err := p.execute(ctx)
	status := p.report(err)
	p.summarize()
	if err := p.console.Close(); err != nil {
		fmt.Fprintln(s.Err, "convox-ci:", err)
	}
	return status
}

// execute runs the command that the arguments name. Without any, as in a container of
// a CI system, the input action does.
func (p *process) execute(ctx context.Context) error {
	root, args := p.commands(), p.args
	if len(args) == 0 {
		action, err := p.action()
		if err != nil {
			return err
		}
		args = action
	}
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}

// actionInput is the one input that is not a verb's own.
type actionInput struct {
	Action string `env:"action" usage:"what to do" accept:"build,deploy,promote,run,check,login"`
}

// imageRunners start a step as a container without arguments, so that inputs say
// everything.
func imageRunners() []string { return []string{ci.GitHub, ci.Bitbucket, ci.Drone, ci.Woodpecker} }

// action turns the input action into arguments. Where steps are containers it
// defaults to build: forgetting an input must never deploy.
func (p *process) action() ([]string, error) {
	var in actionInput
	if err := options.Parse(&in, ci.Inputs(p.environ, []string{"action"})); err != nil {
		return nil, err
	}
	if in.Action == "" && slices.Contains(imageRunners(), p.run.System) {
		in.Action = "build"
	}
	return strings.Fields(in.Action), nil
}

// lookup reads one variable of the environment.
func (p *process) lookup(name string) (string, bool) {
	for _, e := range p.environ {
		if key, value, ok := strings.Cut(e, "="); ok && key == name {
			return value, true
		}
	}
	return "", false
}

// variable is lookup for those who take an unset variable for an empty one.
func (p *process) variable(name string) string {
	value, _ := p.lookup(name)
	return value
}
