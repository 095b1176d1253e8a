//go:build !carrier

package app

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/oidc"
	"github.com/convox-ci/convox-ci/internal/registry/ecr"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// account is who this run is on AWS: what the SDK finds for itself (variables and
// files of its own, and what the machine is given), or the role that the inputs
// name. Nothing is looked for before something on AWS is met, and then once for all.
type account struct {
	role    workflow.AWSRole
	session string
	tokens  *oidc.Source // that the role is assumed with; nil where none is
	mask    func(secret string)
	given   bool // only what was put somewhere on purpose counts, and not what a machine on EC2 has anyway: to look for that takes seconds on all others

	mu    sync.Mutex
	found *aws.Config
}

// account is who this run is on AWS. That the job has no token for the role is found
// out here, before anything is done.
func (p *process) account() (*account, error) {
	a := &account{role: p.role, mask: p.console.Mask}
	if a.role.Role == "" {
		return a, nil
	}
	tokens, err := oidc.Find(oidc.Needs{Variable: p.variable, Audience: a.role.Audience, Given: a.role.Token.Reveal(), HTTP: http.DefaultTransport})
	if err != nil {
		return nil, inputFault("role-to-assume", err)
	}
	a.mask(tokens.Secret())
	a.tokens, a.session = tokens, cmp.Or(a.role.Session, sessionName(p.run))
	return a, nil
}

// noSession is what the name of a session cannot have in it.
var noSession = regexp.MustCompile(`[^\w+=,.@-]+`)

// maxSession is the length of the name of a session in characters.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
const maxSession = 64

// sessionName is by what AWS's own records have a run: the repository and the number
// of the run. Of a long one the number stays.
func sessionName(run ci.Run) string {
	name := noSession.ReplaceAllString(run.Repository, "-")
	id := noSession.ReplaceAllString(run.ID, "-")
	if name == "" {
		name = "convox-ci"
	}
	if id != "" {
		id = "-" + id[:min(len(id), maxSession/2)]
	}
	return strings.Trim(name[:min(len(name), maxSession-len(id))], "-") + id
}

// errNoRegion is for a role without a region: STS is asked in one.
var errNoRegion = errors.New("is required to assume a role where AWS_REGION is not set")

// config is what was found. What went wrong is tried again the next time.
func (a *account) config(ctx context.Context) (aws.Config, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.found != nil {
		return a.found.Copy(), nil
	}
	found, err := a.load(ctx)
	if err != nil {
		return aws.Config{}, err
	}
	a.found = &found
	return found.Copy(), nil
}

// load finds the configuration. A role is assumed here for the first time, so that
// it is said once and in the same words what stands in its way.
func (a *account) load(ctx context.Context) (aws.Config, error) {
	var options []func(*config.LoadOptions) error
	if a.given {
		options = append(options, config.WithEC2IMDSClientEnableState(imds.ClientDisabled))
	}
	if a.role.Region != "" {
		options = append(options, config.WithRegion(a.role.Region))
	}
	if a.tokens == nil {
		found, err := config.LoadDefaultConfig(ctx, options...)
		if err == nil && found.Credentials != nil {
			found.Credentials = &hushed{of: found.Credentials, mask: a.mask}
		}
		return found, err
	}
	// Others that may be found here, or be found wanting, do not count.
	found, err := config.LoadDefaultConfig(ctx, append(options, config.WithCredentialsProvider(aws.AnonymousCredentials{}))...)
	if err != nil {
		return found, err
	}
	if found.Region == "" {
		return found, inputFault("aws-region", errNoRegion)
	}
	assumed := &assumed{account: a, sts: sts.NewFromConfig(found)}
	found.Credentials = aws.NewCredentialsCache(&hushed{of: assumed, mask: a.mask}, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = expiryWindow })
	_, err = found.Credentials.Retrieve(ctx)
	if refused, ok := errors.AsType[*roleError](err); ok { // without what the SDK says of its own parts
		return found, refused
	}
	return found, err
}

// expiryWindow is how long before their end credentials are not used any more: a
// call that was signed with them may still be on its way.
const expiryWindow = 5 * time.Minute

// in is the same for a region, "" for the one that is set.
func (a *account) in(ctx context.Context, region string) (aws.Config, error) {
	c, err := a.config(ctx)
	c.Region = cmp.Or(region, c.Region)
	return c, err
}

// ecr is the way to registries on ECR.
func (a *account) ecr() *ecr.Service {
	return ecr.New(ecr.Options{Config: a.config, Secret: a.mask})
}

// hushed gives credentials that are masked from then on.
type hushed struct {
	of   aws.CredentialsProvider
	mask func(secret string)

	mu   sync.Mutex
	last aws.Credentials // that was masked
}

// Retrieve implements [aws.CredentialsProvider].
func (h *hushed) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := h.of.Retrieve(ctx)
	if err != nil {
		return c, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.SecretAccessKey != h.last.SecretAccessKey || c.SessionToken != h.last.SessionToken || c.AccessKeyID != h.last.AccessKeyID {
		for _, secret := range []string{c.SecretAccessKey, c.SessionToken, c.AccessKeyID} {
			h.mask(secret)
		}
		h.last = c
	}
	return c, nil
}
