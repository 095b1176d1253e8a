package app

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/convox-ci/convox-ci/internal/commit"
	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// defaultHost is Convox's own console.
const defaultHost = "console.convox.com"

// with runs a verb with a client for its target.
func (p *process) with(ctx context.Context, t workflow.Target, do func(workflow.Job) error) (err error) {
	began := time.Now()
	p.local = t.Rack == workflow.LocalRack
	report := p.collect()
	defer func() {
		if err != nil && report.Value("status") == "" { // it came to no verb
			report.Note("reason", err.Error())
		}
	}()
	if t.OutputFile != "" {
		if err := p.console.OutputFile(string(t.OutputFile)); err != nil {
			return inputFault("output-file", err)
		}
	}
	client, done, err := p.connect(ctx, t)
	if err != nil {
		return err
	}
	j := workflow.Job{Rack: client, Log: p.console, Outputs: p.console, Commit: p.commit, Input: p.streams.In, LastWord: p.voice.lastWord,
		Remember: p.console.Remember, Export: p.console.Export, Report: report, Engine: p.openEngine, Estate: p.openEstate}
	if t.App != "" { // check can do without
		j.Output("app", t.App)
	}
	if t.Rack != "" { // with rack-url alone nobody has named it
		j.Output("rack", t.Rack)
	}
	err = errors.Join(do(j), end(ctx, done), end(ctx, p.closeEngine))
	j.Output("duration", strconv.Itoa(int(time.Since(began).Seconds())))
	j.Output("metadata", p.metadata())
	return err
}

// endLimit bounds the end of a rack in this process once the run was cancelled:
// what is left behind is swept at its next start, and CI systems do not wait.
const endLimit = 2 * time.Second

// end calls done, and does not wait for it for long if the run was cancelled.
func end(ctx context.Context, done func() error) error {
	if ctx.Err() == nil {
		return done()
	}
	ended := make(chan error, 1)
	go func() { ended <- done() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(endLimit):
		return nil
	}
}

// commit reads the commit of a directory: what the CI system said wins.
func (p *process) commit(ctx context.Context, dir string) commit.Commit {
	return commit.Read(ctx, dir, commit.Commit{SHA: p.run.Commit, Subject: p.run.Subject}, p.environ)
}

// connect makes a client for a target, and starts the rack if that is the local
// one. done ends what was started.
func (p *process) connect(ctx context.Context, t workflow.Target) (c *rack.Client, done func() error, err error) {
	done = func() error { return nil }
	var e rack.Endpoint
	switch {
	case !t.Reachable(): // for check, which does without
		return nil, done, nil
	case t.Rack == workflow.LocalRack:
		return p.connectLocal(ctx, t)
	case t.RackURL != "":
		if e, err = rack.Direct(t.RackURL.Reveal()); err != nil {
			return nil, nil, inputFault("rack-url", err)
		}
	default:
		host := t.Host
		if host == "" {
			host = defaultHost
		}
		if e, err = rack.Console(host, t.Password.Reveal(), t.Rack); err != nil {
			return nil, nil, inputFault("host", err)
		}
	}
	transport, err := rack.Transport(rack.TLS{CAFile: string(t.CAFile), SkipVerify: t.SkipVerify})
	if err != nil {
		return nil, nil, inputFault("ca-file", err)
	}
	if t.SkipVerify {
		p.console.Warn("insecure-skip-verify: the certificate of " + e.Host() + " is not checked; whoever is in between can read the key")
	}
	return rack.New(e, transport, p.notice), done, nil
}

// notice says what the client does about a fault of the network.
func (p *process) notice(line string) { fmt.Fprintln(p.console, line) }

func inputFault(input string, err error) error {
	return &options.Error{Problems: []options.Problem{{Input: input, Message: err.Error()}}}
}

// closeEngine ends what has built on this machine.
func (p *process) closeEngine() error {
	if p.engine == nil {
		return nil
	}
	return p.engine.Close()
}
