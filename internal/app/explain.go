package app

import (
	"crypto/tls"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/manifest"
	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/refusal"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// Exit statuses. CI systems can be told to treat some of them differently.
const (
	exitOK          = 0 // done; of deploy, promote and rollback: the release is live, unless wait is false
	exitFailed      = 1 // a build failed, a release is not live, or the rack did not say how a command ended
	exitInputs      = 2 // an input or the source is wrong, or names what does not exist
	exitAuth        = 3 // the key was not accepted; of check also: it may not do this
	exitTimeout     = 4 // a time limit was reached
	exitUnavailable = 5 // the rack or the network was not there, after retries
)

// report says what went wrong and returns the exit status.
func (p *process) report(err error) int {
	if err == nil {
		return exitOK
	}
	for _, part := range parts(err) {
		p.annotate(part)
	}
	status, hint := explain(err, p.local)
	if p.run.Fork && (status == exitAuth || lacksKey(err)) {
		hint = "This run was started from a fork, and CI systems give those no secrets."
	}
	if hint != "" {
		fmt.Fprintln(p.console, hint)
	}
	return status
}

// lacksKey tells whether the key is among the inputs that are missing.
func lacksKey(err error) bool {
	var inputs *options.Error
	return errors.As(err, &inputs) && slices.ContainsFunc(inputs.Problems, func(p options.Problem) bool {
		return p.Input == "password" || p.Input == "rack-url"
	})
}

// parts takes apart what [errors.Join] put together. Another error with several
// causes has one text around them, which is for a person to read whole.
func parts(err error) []error {
	if reflect.TypeOf(err) != reflect.TypeOf(errors.Join(err)) {
		return []error{err}
	}
	var all []error
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		all = append(all, parts(e)...)
	}
	return all
}

// annotate says one error, at its place if it has one.
func (p *process) annotate(err error) {
	var inputs *options.Error
	var at *workflow.ManifestError
	var failed *workflow.BuildFailedError
	var found *workflow.CheckError
	switch {
	case errors.As(err, &found): // its report has said it
	case errors.As(err, &inputs):
		for _, problem := range inputs.Problems {
			p.console.Annotate(ci.LevelError, "", 0, problem.String())
		}
	case errors.As(err, &at):
		p.console.Annotate(ci.LevelError, filepath.ToSlash(at.File), at.Fault.Line, at.Fault.Error())
	case errors.As(err, &failed):
		text := err.Error()
		if failed.Tail != "" && p.run.System == ci.GitHub { // elsewhere the log stands right above
			text += "\n" + failed.Tail
		}
		p.console.Annotate(ci.LevelError, filepath.ToSlash(failed.File), failed.Line, text)
	default:
		p.console.Annotate(ci.LevelError, "", 0, err.Error())
	}
}

// explain is the only place that knows what a person should do about an error.
// local says that the rack was in this process, and has ended with it.
func explain(err error, local bool) (status int, hint string) {
	var (
		signal  Signal
		inputs  *options.Error
		text    *manifest.Error
		failed  *workflow.BuildFailedError
		notLive *workflow.NotLiveError
		cert    *tls.CertificateVerificationError
		busy    *inUseError
		late    *workflow.TimeoutError
		left    *workflow.LeftError
		found   *workflow.CheckError
		access  *rack.AccessError
	)
	if status, hint, ok := ofCommand(err); ok {
		return status, hint
	}
	goesOn := ""
	switch begun := errors.As(err, &left) && !left.Ended || errors.As(err, &notLive) && notLive.Begun; {
	case begun && local:
		goesOn = "The local rack ends with this process: a build that ran is failed."
	case begun:
		goesOn = "What the rack has begun goes on there: see builds and releases of the app."
	}
	switch {
	case errors.As(err, &found) && found.Source > 0:
		return exitInputs, ""
	case errors.As(err, &access) && accessStatus(access.Trouble) != exitOK:
		return accessStatus(access.Trouble), ""
	case errors.As(err, &signal):
		return signal.Status(), goesOn
	case errors.As(err, &inputs):
		return exitInputs, ""
	case errors.As(err, &text):
		return exitInputs, ""
	case errors.As(err, &late), errors.As(err, &notLive) && notLive.Verdict == rack.TimedOut:
		return exitTimeout, goesOn
	case errors.As(err, &failed), errors.As(err, &notLive):
		return exitFailed, ""
	case errors.As(err, &busy):
		return exitInputs, "Ask that rack by its RACK_URL, end the process, or choose other data with the input data."
	case errors.As(err, &cert):
		return exitUnavailable, "If the rack has a certificate of its own, hand it over with the input ca-file."
	case errors.Is(err, rack.ErrUnauthorized):
		return exitAuth, "Is the password the deploy key of this rack's organization, and the rack-url this rack's?"
	case errors.Is(err, rack.ErrNotFound):
		return exitInputs, ""
	case errors.Is(err, rack.ErrUnavailable):
		return exitUnavailable, "The rack was not reached or did not answer."
	case errors.Is(err, refusal.ErrCredentials):
		return exitAuth, "Are the credentials of AWS those of the Rack's account, and do they last to the end of the job?"
	case errors.Is(err, refusal.ErrBusy):
		return exitUnavailable, "AWS was asked again and again: nothing has to be changed, try later."
	}
	return exitFailed, ""
}

// ofCommand knows what comes of commands that were run, and of records that are
// not there.
func ofCommand(err error) (status int, hint string, ok bool) {
	var (
		hook    *workflow.HookError
		ended   *workflow.ExitError
		dropped *workflow.DroppedError
		release *workflow.NoReleaseError
		name    *workflow.NoVariableError
		layout  *workflow.LayoutError
		unknown *rack.NoStatusError
		pushing *workflow.DeliveryError
	)
	switch {
	case errors.As(err, &pushing) && errors.Is(pushing, rack.ErrUnauthorized):
		return exitAuth, "", true
	case errors.As(err, &pushing) && errors.Is(pushing, rack.ErrUnavailable):
		return exitUnavailable, "", true
	case errors.As(err, &unknown) && errors.Is(err, rack.ErrNotFound): // the process is not there any more, which was
		return exitFailed, "", true
	case errors.As(err, &hook) && errors.As(err, &ended):
		return exitFailed, "", true
	case errors.As(err, &ended):
		return ended.Status, "", true
	case errors.As(err, &dropped):
		return exitInputs, "If they are to go, say so with the input allow-drop.", true
	case errors.As(err, &release), errors.As(err, &name), errors.As(err, &layout):
		return exitInputs, "", true
	}
	return 0, "", false
}
