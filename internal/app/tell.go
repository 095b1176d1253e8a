package app

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/deployment"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/summary"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// telling are inputs that say how a run tells of itself.
type telling interface{ Tells() workflow.Telling }

// onAWS are inputs that say who a run is on AWS.
type onAWS interface{ AWS() workflow.AWSRole }

// heed does from now on what inputs say about telling, and about AWS. Verbs without
// such inputs leave no summary.
func (p *process) heed(inputs any) {
	if a, ok := inputs.(onAWS); ok {
		p.role = a.AWS()
	}
	t, ok := inputs.(telling)
	if !ok {
		return
	}
	p.summary = t.Tells().Summary
	if !t.Tells().Annotations {
		p.console.AnnotateInLog()
	}
}

// collect begins the report of this run.
func (p *process) collect() *summary.Report {
	p.told = &summary.Report{Run: summary.Run{
		Verb: p.verb, Subject: p.run.Subject, Branch: p.run.Branch, Actor: p.run.Actor,
	}}
	return p.told
}

// summarize leaves the summary, if one is wanted and there is something to tell.
func (p *process) summarize() {
	if !p.summary || p.told == nil {
		return
	}
	conceal := p.console.Conceal
	text := p.told.Text(conceal)
	if p.verb == "run" { // what a command prints may be for another program
		text = ""
	}
	if err := p.console.Summary(p.told.Markdown(conceal), text); err != nil {
		p.console.Warn("summary: " + err.Error())
	}
}

// metadata is all outputs as one JSON object.
func (p *process) metadata() string {
	text, _ := json.Marshal(p.console.Outputs()) // strings always encode
	return string(text)
}

const (
	recordLimit = 15 * time.Second // for GitHub to begin or end a record: a deploy must not wait for it
	recordHurry = time.Second      // the same once a run was cancelled, when others have to be told as well
)

// recorded are inputs that say what is recorded of a run.
type recorded interface{ Recording() workflow.Recorded }

// record does a workflow within a deployment on GitHub, if the inputs want one.
// That GitHub cannot keep the record is no failure of the deploy.
func (p *process) record(ctx context.Context, inputs placed, do func() error) error {
	r, ok := inputs.(recorded)
	if !ok || !r.Recording().Deployment {
		return do()
	}
	d := p.beginRecord(ctx, r.Recording(), inputs.Where())
	err := do()
	if d != nil {
		p.endRecord(ctx, d, err)
	}
	return err
}

// beginRecord makes the record; nil if there is none.
func (p *process) beginRecord(ctx context.Context, in workflow.Recorded, t workflow.Target) *deployment.Deployment {
	if p.run.System != ci.GitHub || p.run.Commit == "" {
		p.console.Warn("deployment: this is no run of GitHub Actions, so none is recorded")
		return nil
	}
	transport, err := rack.Transport(rack.TLS{CAFile: string(t.CAFile)})
	if err != nil { // the client for the rack says so as well
		return nil
	}
	g := deployment.GitHub{API: p.variable("GITHUB_API_URL"), Repository: p.run.Repository, Token: in.GitHubToken.Reveal(), HTTP: transport}
	ctx, done := context.WithTimeout(ctx, recordLimit)
	defer done()
	d, err := g.Begin(ctx, deployment.Order{Ref: p.run.Commit, Environment: cmp.Or(in.Environment, t.Rack), LogURL: p.run.Link})
	if err != nil {
		p.console.Warn("deployment: " + err.Error())
	}
	return d
}

// endRecord says in the record how the run has ended, if anybody has seen that.
func (p *process) endRecord(ctx context.Context, d *deployment.Deployment, err error) {
	limit := recordLimit
	if ctx.Err() != nil {
		limit = recordHurry
	}
	state, description := p.state(err)
	if state == "" {
		return
	}
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer done()
	if err := d.Say(ctx, state, p.told.Value("url"), p.console.Conceal(description)); err != nil {
		p.console.Warn("deployment: " + err.Error())
	}
}

// state is that of the record, and why; "" for a promote that nobody has waited
// for.
func (p *process) state(err error) (deployment.State, string) {
	reason := p.told.Value("reason")
	switch status := p.told.Value("status"); {
	case err == nil && p.told.Value("promoted") == "true":
		return deployment.Success, "release " + p.told.Value("release") + " is live"
	case err == nil:
		return "", ""
	case status == string(rack.Superseded):
		return deployment.Inactive, reason
	case status == string(rack.Cancelled), status == string(rack.TimedOut), status == string(rack.Unknown):
		return deployment.Error, status + ": " + reason
	}
	return deployment.Failure, cmp.Or(reason, err.Error())
}
