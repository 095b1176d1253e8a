package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// check looks at what a deploy needs. The rack in this process is not started for
// it: that would make its directory. Of a console alone nothing is asked.
func (p *process) check(ctx context.Context, in workflow.CheckInputs) error {
	asked := in.Target
	if in.Rack == workflow.LocalRack || !in.Complete() {
		asked.Rack, asked.RackURL, asked.Password = "", "", ""
	}
	return p.with(ctx, asked, func(j workflow.Job) error {
		if in.Rack != asked.Rack {
			j.Output("rack", in.Rack)
		}
		report, err := workflow.Check(ctx, j, in)
		var found *workflow.CheckError
		if err != nil && !errors.As(err, &found) {
			return err
		}
		return errors.Join(p.show(report, in.JSON), err)
	})
}

// show prints a report.
func (p *process) show(r workflow.Report, asJSON bool) error {
	if p.run.System == ci.GitHub || p.run.System == ci.Azure { // which show them at their line
		p.annotateFindings(r)
	}
	if asJSON {
		return p.printJSON(r)
	}
	for _, f := range r.Findings {
		fmt.Fprintln(p.console, f)
	}
	if u := r.Upload; u != nil {
		fmt.Fprintf(p.console, "Upload: %s\n", u)
		for _, line := range u.Heaviest() {
			fmt.Fprintln(p.console, "  "+line)
		}
	}
	fmt.Fprintf(p.console, "%s, %s\n", count(r.Errors, "error"), count(r.Warnings, "warning"))
	return nil
}

// annotateFindings puts findings at their place in the source. Errors are shown
// without one as well.
func (p *process) annotateFindings(r workflow.Report) {
	for _, f := range r.Findings {
		if f.Level == ci.LevelError || f.Level == ci.LevelWarning && f.File != "" {
			p.console.Annotate(f.Level, f.File, f.Line, f.Text)
		}
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// accessStatus is the exit status for what is in the way to an app, where that is
// not the one of its cause; else exitOK.
func accessStatus(t rack.Trouble) int {
	switch t {
	case rack.TroubleRight:
		return exitAuth
	case rack.TroubleRack:
		return exitInputs
	case rack.TroubleDown, rack.TroubleClock:
		return exitUnavailable
	}
	return exitOK
}
