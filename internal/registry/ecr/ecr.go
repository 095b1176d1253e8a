// Package ecr has what registries on Amazon ECR want beside the protocol of
// registries: tokens for credentials of AWS, repositories that exist before they
// are pushed to, policies that remove what is old, and words for its errors.
package ecr

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"golang.org/x/sync/singleflight"

	"github.com/convox-ci/convox-ci/internal/registry"
)

// Options are what a [Service] is made of.
type Options struct {
	// Config finds the credentials and the region of AWS. It is called once, when
	// something of ECR is needed first.
	Config func(context.Context) (aws.Config, error)
	// Secret is told of each token before it is used; nil is nobody.
	Secret func(string)
	// Now is the clock that tokens expire by; nil is that of this machine.
	Now func() time.Time
}

// Service asks ECR. It may be used from many goroutines at once.
type Service struct {
	config func(context.Context) (aws.Config, error)
	secret func(string)
	now    func() time.Time
	flight singleflight.Group // requests for tokens, by scope

	mu     sync.Mutex
	loaded *aws.Config
	own    map[string]*Registry // those that were opened, by host
	tokens map[scope]*held
	known  map[string]bool // repositories that are there, by host and name
}

var _ registry.Cloud = (*Service)(nil)

// New makes a service. It asks nothing before something is needed.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Secret == nil {
		o.Secret = func(string) {}
	}
	return &Service{config: o.Config, secret: o.Secret, now: o.Now, own: map[string]*Registry{}, tokens: map[scope]*held{}, known: map[string]bool{}}
}

// pair is an access key of AWS; the zero pair stands for the credentials that the
// process itself has.
type pair struct{ id, secret string }

// load is the configuration. What went wrong is tried again the next time.
func (s *Service) load(ctx context.Context) (aws.Config, error) {
	s.mu.Lock()
	loaded := s.loaded
	s.mu.Unlock()
	if loaded != nil {
		return *loaded, nil
	}
	c, err := s.config(ctx)
	if err != nil {
		return c, &Error{Kind: ErrNoCredentials, Text: err.Error()}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loaded = &c
	return c, nil
}

// api is the client for a region, with credentials that are there: of the default
// chain the SDK itself says so only among the words of a failed request.
func (s *Service) api(ctx context.Context, region string, as pair) (*ecr.Client, error) {
	c, err := s.load(ctx)
	if err != nil {
		return nil, err
	}
	if as != (pair{}) {
		c.Credentials = credentials.NewStaticCredentialsProvider(as.id, as.secret, "")
	}
	if region != "" {
		c.Region = region
	}
	if c.Region == "" {
		return nil, &Error{Kind: ErrRegion, Text: "none is set: name the host of the registry, or set AWS_REGION"}
	}
	if c.Credentials == nil {
		return nil, &Error{Kind: ErrNoCredentials}
	}
	if _, err := c.Credentials.Retrieve(ctx); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		return nil, &Error{Kind: ErrNoCredentials, Text: err.Error()}
	}
	return ecr.NewFromConfig(c), nil
}

// place is where a registry is; the account is "" for that of the credentials.
type place struct{ account, region string }

// arn is the name of a repository in policies.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerregistry.html
func (p place) arn(repository string) string {
	return "arn:" + partition(p.region) + ":ecr:" + p.region + ":" + p.account + ":repository/" + repository
}

// id is the account as the API takes it.
func (p place) id() *string {
	if p.account == "" {
		return nil
	}
	return &p.account
}

// at finds the place of a registry by its host.
func (s *Service) at(host string) (place, bool) {
	s.mu.Lock()
	r, ok := s.own[host]
	s.mu.Unlock()
	if ok { // the host of a stand-in tells nothing
		return r.at, true
	}
	return parseHost(host)
}
