package ci

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sethvargo/go-githubactions"
)

// annotationTitle heads each annotation; without it GitHub shows the name of
// the step, which says nothing of who found the fault.
const annotationTitle = "Convox"

// github is GitHub Actions.
//
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
type github struct {
	env map[string]string // which names the files that a step writes to, on runners from 2.297
}

// fileVariable names the file that reaches a receiver. The runner reads it when the
// step has ended, also when it was killed.
func fileVariable(to receiver) string {
	switch to {
	case laterEnvironment:
		return "GITHUB_ENV"
	case lastStage:
		return "GITHUB_STATE"
	}
	return "GITHUB_OUTPUT"
}

// command renders what the library would print. It gets a writer that cannot
// fail and an empty environment, because it panics on the one and would look
// into the real other.
func command(issue func(*githubactions.Action)) string {
	var b strings.Builder
	issue(githubactions.New(
		githubactions.WithWriter(&b),
		githubactions.WithGetenv(func(string) string { return "" }),
	))
	return b.String()
}

func (github) mask(secret string) string {
	return command(func(a *githubactions.Action) { a.AddMask(secret) })
}

func (github) group(title string) (open, end string) {
	return command(func(a *githubactions.Action) { a.Group(title) }), command((*githubactions.Action).EndGroup)
}

func (github) note(n note) string {
	properties := githubactions.CommandProperties{"title": annotationTitle}
	if n.file != "" {
		properties["file"] = filepath.ToSlash(n.file)
	}
	if n.file != "" && n.line > 0 {
		properties["line"] = strconv.Itoa(n.line)
	}
	// The viewer gives a meaning to "##[" in the lines of a message as well.
	message := strings.ReplaceAll(n.message, "##[", `##\[`)
	c := &githubactions.Command{Name: string(n.level), Message: message, Properties: properties}
	return command(func(a *githubactions.Action) { a.IssueCommand(c) })
}

// hush stops commands until a token comes that nobody can guess.
func (github) hush() (stop, resume string) {
	token := rand.Text()
	stop = command(func(a *githubactions.Action) {
		a.IssueCommand(&githubactions.Command{Name: "stop-commands", Message: token})
	})
	resume = command(func(a *githubactions.Action) { a.IssueCommand(&githubactions.Command{Name: token}) })
	return stop, resume
}

// pass appends to a file, in the form for values of several lines: it carries
// every value as it is.
func (g github) pass(to receiver, name, value string) error {
	variable := fileVariable(to)
	file := g.env[variable]
	if file == "" {
		switch to {
		case laterEnvironment:
			return ErrNoEnvironment
		case lastStage: // nobody would read it
			return nil
		}
		return errNoFile
	}
	end := fence(value, rand.Text)
	if err := appendFile(file, name+"<<"+end+"\n"+value+"\n"+end+"\n"); err != nil {
		return fmt.Errorf("output %s: append to %s: %w", name, variable, err)
	}
	return nil
}

// fence returns a delimiter that is not in value. A value that holds its own
// delimiter would end there, and go on as outputs of its own.
func fence(value string, random func() string) string {
	for {
		if end := "end." + random(); !strings.Contains(value, end) {
			return end
		}
	}
}

// githubRun reads GitHub's default variables and the event file.
//
// https://docs.github.com/en/actions/reference/workflows-and-actions/variables
func githubRun(env map[string]string) Run {
	run := Run{System: GitHub, Commit: env["GITHUB_SHA"]}
	e := readEvent(env["GITHUB_EVENT_PATH"])
	run.Subject = firstLine(e.HeadCommit.Message)
	if pr := e.PullRequest; pr != nil {
		run.Subject = firstLine(pr.Title)
		run.Fork = pr.Head.Repo.FullName != pr.Base.Repo.FullName
		// Only pull_request_target runs on the base branch, and checks that out.
		if pr.Head.SHA != "" && env["GITHUB_EVENT_NAME"] != "pull_request_target" {
			run.Commit = pr.Head.SHA
		}
	}
	return run
}

// event is what we need of a webhook payload.
//
// https://docs.github.com/en/webhooks/webhook-events-and-payloads
type event struct {
	HeadCommit struct {
		Message string `json:"message"`
	} `json:"head_commit"`
	PullRequest *struct {
		Title string `json:"title"`
		Head  side   `json:"head"`
		Base  side   `json:"base"`
	} `json:"pull_request"`
}

// side is one end of a pull request. The repository of a fork that was deleted
// is null.
type side struct {
	SHA  string `json:"sha"`
	Repo struct {
		FullName string `json:"full_name"`
	} `json:"repo"`
}

// readEvent returns an empty event when there is none to read.
func readEvent(path string) (e event) {
	f, err := os.Open(path)
	if err != nil {
		return event{}
	}
	defer f.Close()
	const maxEvent = 32 << 20 // bytes; GitHub caps payloads at 25 MB
	if err := json.NewDecoder(io.LimitReader(f, maxEvent)).Decode(&e); err != nil {
		return event{}
	}
	return e
}
