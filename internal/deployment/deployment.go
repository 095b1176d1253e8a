// Package deployment keeps the record of a deployment on GitHub: which commit is
// on its way to which environment, and how that ended.
//
// https://docs.github.com/en/rest/deployments
package deployment

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// State is how a deployment stands. Of the states of GitHub these are used.
type State string

// The states.
const (
	InProgress State = "in_progress"
	Success    State = "success"
	Failure    State = "failure"  // it ended without success
	Error      State = "error"    // it did not come to an end, or nobody could see one
	Inactive   State = "inactive" // another one has taken its place
)

// maxDescription is how many characters of a description GitHub takes.
const maxDescription = 140

// GitHub is where deployments are recorded.
type GitHub struct {
	API        string // URL of the API, as in GITHUB_API_URL
	Repository string // OWNER/NAME
	Token      string // with the permission deployments: write
	HTTP       http.RoundTripper

	wait func(context.Context, time.Duration) // before another try; nil waits by the clock
}

// Order is what is being deployed.
type Order struct {
	Ref         string // full id of the commit
	Environment string
	LogURL      string // page of the run; "" for none
}

// Deployment is one record.
type Deployment struct {
	github GitHub
	order  Order
	id     int64
}

// Begin makes a record and says that it is in progress. Neither is the default
// branch merged into the commit, nor do its checks have to have passed: the run
// that deploys has decided that it may.
func (g GitHub) Begin(ctx context.Context, o Order) (*Deployment, error) {
	if err := g.check(); err != nil {
		return nil, err
	}
	var made struct {
		ID int64 `json:"id"`
	}
	err := g.send(ctx, "", map[string]any{
		"ref": o.Ref, "environment": o.Environment, "auto_merge": false, "required_contexts": []string{}, "description": "",
	}, &made)
	if err != nil {
		return nil, err
	}
	if made.ID == 0 {
		return nil, errors.New("GitHub has made no deployment")
	}
	d := &Deployment{github: g, order: o, id: made.ID}
	return d, d.Say(ctx, InProgress, "", "")
}

// Say sets the state. At success url is where the environment is reached, "" for
// nowhere. A description that is too long for GitHub is cut.
func (d *Deployment) Say(ctx context.Context, s State, url, description string) error {
	status := map[string]any{"state": s, "description": cut(description)}
	if d.order.LogURL != "" {
		status["log_url"] = d.order.LogURL
	}
	if url != "" {
		status["environment_url"] = url
	}
	return d.github.send(ctx, "/"+strconv.FormatInt(d.id, 10)+"/statuses", status, nil)
}

// cut keeps a description to one line of GitHub's length.
func cut(description string) string {
	line := []rune(strings.Join(strings.Fields(strings.ToValidUTF8(description, "\uFFFD")), " "))
	if len(line) > maxDescription {
		line = append(line[:maxDescription-1], '…')
	}
	return string(line)
}

// check refuses an API that the token must not be sent to in the clear, and a
// repository that would change the path.
func (g GitHub) check() error {
	u, err := url.Parse(g.API)
	owner, name, ok := strings.Cut(g.Repository, "/")
	switch {
	case err != nil || u.Host == "" || u.User != nil:
		return errors.New("GITHUB_API_URL is not the URL of an API")
	case u.Scheme != "https" && !isLoopback(u.Hostname()):
		return errors.New("GITHUB_API_URL is not https")
	case !ok || owner == "" || name == "" || strings.ContainsAny(g.Repository, "?#%\\") || strings.Contains(name, "/") || strings.Contains(g.Repository, ".."):
		return errors.New("GITHUB_REPOSITORY is not OWNER/NAME")
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
