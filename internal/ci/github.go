package ci

import (
	"crypto/rand"
	"encoding/json"
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
	// Files that a step writes to, "" on older runners. They are read when the step
	// has ended, also when it was killed.
	file      string // GITHUB_OUTPUT
	summary   string // GITHUB_STEP_SUMMARY; there are servers without summaries
	variables string // GITHUB_ENV
	state     string // GITHUB_STATE
}

// githubGrammar is how the runner reads a log: the old form of a command counts
// anywhere in a line, and the log viewer gives it meaning even while commands are
// off. Lines end at a carriage return too, as .NET's StreamReader.ReadLine reads.
func githubGrammar() grammar { return grammar{marks: []string{"##["}, colons: true} }

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

func (g github) output(name, value string) (string, error) {
	if g.file == "" {
		return "", errNoOutputFile
	}
	return "", appendPair("GITHUB_OUTPUT", g.file, name, value)
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
	run := Run{System: GitHub, Commit: env["GITHUB_SHA"], ID: env["GITHUB_RUN_ID"], Repository: env["GITHUB_REPOSITORY"], Actor: env["GITHUB_TRIGGERING_ACTOR"]}
	run.Link, run.Branch = githubLink(env), githubBranch(env)
	if run.Actor == "" { // GHES before 3.7
		run.Actor = env["GITHUB_ACTOR"]
	}
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

// githubLink is the page of the run, and of this attempt at it where that is not
// the first.
func githubLink(env map[string]string) string {
	server, id := env["GITHUB_SERVER_URL"], env["GITHUB_RUN_ID"]
	if server == "" || env["GITHUB_REPOSITORY"] == "" || id == "" {
		return ""
	}
	link := server + "/" + env["GITHUB_REPOSITORY"] + "/actions/runs/" + id
	if n := env["GITHUB_RUN_ATTEMPT"]; n != "" && n != "1" {
		link += "/attempts/" + n
	}
	return link
}

// githubBranch is "" for a tag.
func githubBranch(env map[string]string) string {
	switch {
	case env["GITHUB_HEAD_REF"] != "":
		return env["GITHUB_HEAD_REF"]
	case env["GITHUB_REF_TYPE"] == "branch":
		return env["GITHUB_REF_NAME"]
	}
	return ""
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
