package workflow

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/manifest"
	"github.com/convox-ci/convox-ci/internal/options"
)

// CheckInputs are the inputs of check. The app, the rack and the key may be
// missing: what cannot be looked at without them is said.
type CheckInputs struct {
	Target
	Source
	BuildArgs   options.Pairs `env:"build-args" usage:"NAME=VALUE a line, for the ARG lines of the Dockerfiles; a bare NAME takes its value from the environment"`
	Development bool          `env:"development" envDefault:"false" usage:"stop at the stage named development"`
	Printed
	Limits
}

// Check finds what is wrong with the inputs as such, and gives build args without
// a value that of lookup. What is wrong with the source is for the report.
func (in *CheckInputs) Check(lookup func(string) (string, bool)) error {
	resolved, missing := in.BuildArgs.Resolve("build-args", lookup)
	if missing == nil {
		in.BuildArgs = resolved
	}
	return options.Join(wrongInputs(in.Target.wrong()), missing)
}

// Report is what a check found. Its fields by the names of JSON are what programs
// may rely on.
type Report struct {
	Findings []Finding `json:"findings"` // first those about the source, in the order of its reading
	Errors   int       `json:"errors"`   // findings of that level
	Warnings int       `json:"warnings"` // likewise
	Upload   *Upload   `json:"upload"`   // null where nothing could be packed
}

// CheckError says that a check found errors. They stand in its report.
type CheckError struct {
	Source int   // errors of the inputs and the source
	Access error // what is in the way to the app, nil for nothing; errors.Is and As see it
}

func (e *CheckError) Error() string {
	n := e.Source
	if e.Access != nil {
		n++
	}
	if n == 1 {
		return "1 error found"
	}
	return fmt.Sprintf("%d errors found", n)
}

// Unwrap gives what is in the way to the app.
func (e *CheckError) Unwrap() error { return e.Access }

// Check looks at everything that a deploy needs and changes nothing: at the
// manifest, the Dockerfiles, the build args and what would be uploaded, and, with a
// client, at whether the key gets to the app and what its environment lacks. The
// error is a [*CheckError] if the report has errors. Any other means that the
// check did not come to its end.
func Check(ctx context.Context, j Job, in CheckInputs) (Report, error) {
	ctx, done := limited(ctx, "timeout", in.Timeout)
	defer done()
	seen, err := j.see(ctx, in)
	if err != nil {
		return Report{}, err
	}
	r := Report{Findings: []Finding{}}
	if err := r.source(ctx, in, seen); err != nil {
		return Report{}, err
	}
	static := r.Errors
	r.add(seen.found...)
	if r.Errors > 0 {
		return r, &CheckError{Source: static, Access: seen.trouble}
	}
	return r, nil
}

// source looks at everything that is here.
func (r *Report) source(ctx context.Context, in CheckInputs, seen sight) error {
	var wrong *options.Error
	if errors.As(refuseCommas(in.BuildArgs), &wrong) {
		r.add(commas(wrong)...)
	}
	if err := in.Source.check(); errors.As(err, &wrong) {
		r.add(findings(wrong)...)
		return nil
	}
	text, err := os.ReadFile(in.file())
	if err != nil {
		return err
	}
	m, faults := in.faults(text, seen.build(in.BuildArgs))
	r.add(faults...)
	if m != nil {
		r.add(in.environment(text, m, seen, faults)...)
		r.add(in.arguments(text, m)...)
	}
	return r.upload(ctx, in.Source, text, m)
}

// add puts findings into the report.
func (r *Report) add(found ...Finding) {
	for _, f := range found {
		switch f.Level {
		case ci.LevelError:
			r.Errors++
		case ci.LevelWarning:
			r.Warnings++
		}
	}
	r.Findings = append(r.Findings, found...)
}

// environment compares what services require with the environment of the app. A
// build arg stands in for a variable while the build is made; the release that
// comes of it does without.
func (s Source) environment(text []byte, m *manifest.Manifest, seen sight, known []Finding) []Finding {
	required := m.Required()
	if seen.env == nil {
		if len(required) == 0 {
			return nil
		}
		return []Finding{s.at(ci.LevelNotice, aboutEnvironment,
			fmt.Sprintf("services require %s; whether the app has them was not looked at", strings.Join(required, ", ")))}
	}
	var found []Finding
	_, faults := manifest.Examine(text, seen.env)
	for _, e := range faults {
		if f := s.finding(e); e.Missing() && !slices.Contains(known, f) {
			f.Level, f.Text = ci.LevelWarning, f.Text+" (given by build-args only: the build has it, its release does not)"
			found = append(found, f)
		}
	}
	return found
}
