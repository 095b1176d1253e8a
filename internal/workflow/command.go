package workflow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// command is a command that is run on an app once.
type command struct {
	app     rack.App
	service string
	text    string
	release string // "" is the active one
	limit   time.Duration
	input   io.Reader // nil: there is none
	name    string    // what a person reads it is
	began   func(process string)
	given   string // the input that it comes from
}

// ExitError says that a command has ended with a status other than 0.
type ExitError struct {
	What   string // the command as a person knows it
	Status int
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("%s ended with status %d", e.What, e.Status)
}

// RunTime bounds a command in time.
type RunTime struct {
	RunTimeout time.Duration `env:"run-timeout" envDefault:"60m" usage:"limit for a command that is run"`
}

// run runs a command to its end; its output is printed as foreign text.
func (j Job) run(ctx context.Context, c command) error {
	ctx, done := limited(ctx, "run-timeout", c.limit)
	defer done()
	quiet := j.awaiting(c.name)
	defer quiet()
	var status int
	err := j.Log.Foreign(func(w io.Writer) (err error) {
		status, err = j.Rack.Run(ctx, c.app, rack.Job{
			Service: c.service, Command: c.text, Release: c.release, Limit: c.limit, Input: c.input, Output: w,
			Began: func(process string) { j.began(c, process) },
		})
		return err
	})
	if ctx.Err() == nil { // else its end was asked for, and may not have been heard
		j.remember(rememberedProcess, "")
	}
	var wrong *rack.CommandError
	switch {
	case errors.As(err, &wrong):
		return unfit(c.given, wrong)
	case err != nil:
		return fmt.Errorf("%s: %w", c.name, err)
	case status != 0:
		return &ExitError{What: c.name, Status: status}
	}
	return nil
}

// began is told of the process of a command once there is one.
func (j Job) began(c command, process string) {
	j.remember(rememberedProcess, process)
	if c.began != nil {
		c.began(process)
	}
}

// unfit is the fault of an input whose command a rack cannot be told.
func unfit(input string, err error) error {
	return refuse(input, "", err.Error(), "a command of one line")
}

// Hooks are commands that a deploy runs around the promote.
type Hooks struct {
	BeforePromote string `env:"before-promote" usage:"SERVICE COMMAND to run on the new release; it is promoted only if the command ends with status 0"`
	AfterPromote  string `env:"after-promote" usage:"SERVICE COMMAND to run once the new release is live"`
	RunTime
}

// HookError says that a command around a promote has failed.
type HookError struct {
	Hook    string // the input
	Release string
	Live    bool // the release is
	Err     error
}

func (e *HookError) Error() string {
	if e.Live {
		return fmt.Sprintf("%v; release %s is live", e.Err, e.Release)
	}
	return fmt.Sprintf("%v; release %s was not promoted", e.Err, e.Release)
}

// Unwrap gives the reason.
func (e *HookError) Unwrap() error { return e.Err }

// checkHook refuses a hook without a command, or without a service before it:
// after the build it would be too late.
func checkHook(input, text string) error {
	service, command := splitHook(text)
	switch {
	case text == "", serviceName.MatchString(service) && command != "":
		return nil
	case command == "":
		return refuse(input, text, "names no command", aHook)
	}
	return refuse(input, text, "does not begin with the name of a service", aHook)
}

// aHook is what is accepted as a hook.
const aHook = "a service and the command to run in it, as in: web bin/migrate"

// splitHook takes a hook apart: its first word is the service.
func splitHook(text string) (service, command string) {
	service, command, _ = strings.Cut(strings.TrimSpace(text), " ")
	return service, strings.TrimSpace(command)
}

// hook runs a command around the promote of a release, if there is one.
func (j Job) hook(ctx context.Context, in DeployInputs, hook HookError, text string) error {
	if text == "" {
		return nil
	}
	defer j.Report.Begin(hook.Hook)()
	service, text := splitHook(text)
	j.printf("Running %s on %s: %s", hook.Hook, hook.Release, text)
	app, err := j.Rack.App(ctx, in.App)
	if err == nil {
		err = j.run(ctx, command{app: app, service: service, text: text, release: hook.Release, limit: in.RunTimeout, name: hook.Hook, given: hook.Hook})
	}
	if err != nil {
		hook.Err = err
		return &hook
	}
	return nil
}
