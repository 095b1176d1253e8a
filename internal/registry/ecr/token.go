package ecr

import (
	"context"
	"encoding/base64"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/google/go-containerregistry/pkg/authn"
)

const (
	// tokenMargin is how long before its end a token is not handed out any more. A
	// build's engine gets one when it pulls the first image and still uses it when
	// it leaves its cache; of the 12 hours that one lasts, an hour is left for that.
	// https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html
	tokenMargin = time.Hour

	// tokenPatience is how long a token is waited for, with what the SDK tries
	// again: some seconds, and more only where credentials come from a service that
	// is not there.
	tokenPatience = time.Minute
)

// scope is what a token is for.
type scope struct {
	place
	as pair
}

// token signs in to a registry.
type token struct {
	user, password string
	endpoint       string // host of the registry it is for
	until          time.Time
}

// held is the token of a scope, and the one before.
type held struct {
	token
	before string // its password
}

// token is one that is still good, asked for if there is none.
func (s *Service) token(ctx context.Context, of scope) (token, error) {
	if t, ok := s.current(of); ok {
		return t, nil
	}
	return s.fetch(ctx, of)
}

// current is the token that is there, if it is still good.
func (s *Service) current(of scope) (token, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.tokens[of]
	if h == nil || !s.now().Before(h.until) {
		return token{}, false
	}
	return h.token, true
}

// fetch asks for a token, once for all who wait for one of the same scope. Who
// does not wait any longer does not stop it for the others.
func (s *Service) fetch(ctx context.Context, of scope) (token, error) {
	key := strings.Join([]string{of.account, of.region, of.as.id, of.as.secret}, "\x00")
	got := s.flight.DoChan(key, func() (any, error) {
		if t, ok := s.current(of); ok { // that another has fetched since it was looked for
			return t, nil
		}
		ctx, done := context.WithTimeout(context.WithoutCancel(ctx), tokenPatience)
		defer done()
		t, err := s.ask(ctx, of)
		if err == nil {
			s.keep(of, t)
		}
		return t, err
	})
	select {
	case r := <-got:
		t, _ := r.Val.(token)
		return t, r.Err
	case <-ctx.Done():
		return token{}, context.Cause(ctx)
	}
}

// keep has a token handed out until shortly before it ends. Of one that lasts
// less than twice the margin it is half: else each request would ask for another.
func (s *Service) keep(of scope, t token) {
	left := t.until.Sub(s.now())
	t.until = t.until.Add(-min(tokenMargin, left/2))
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &held{token: t}
	if old := s.tokens[of]; old != nil {
		h.before = old.password
	}
	s.tokens[of] = h
}

// ask asks ECR for a token.
func (s *Service) ask(ctx context.Context, of scope) (token, error) {
	api, err := s.api(ctx, of.region, of.as)
	if err != nil {
		return token{}, err
	}
	in := &ecr.GetAuthorizationTokenInput{}
	if of.account != "" {
		//lint:ignore SA1019 without it the answer is for the registry of the credentials, and would not tell whether the other one is there
		in.RegistryIds = []string{of.account}
	}
	out, err := api.GetAuthorizationToken(ctx, in)
	if err != nil {
		return token{}, explainAPI(ctx, err, call{"GetAuthorizationToken", of.place, ""})
	}
	if len(out.AuthorizationData) == 0 || out.AuthorizationData[0].AuthorizationToken == nil {
		return token{}, &Error{Kind: ErrNoCredentials, Text: "ECR has answered without a token"}
	}
	data := out.AuthorizationData[0]
	t := token{until: s.now().Add(2 * tokenMargin)}
	if data.ExpiresAt != nil {
		t.until = *data.ExpiresAt
	}
	if data.ProxyEndpoint != nil {
		t.endpoint = hostOf(*data.ProxyEndpoint)
	}
	plain, err := base64.StdEncoding.DecodeString(*data.AuthorizationToken)
	user, password, ok := strings.Cut(string(plain), ":")
	if err != nil || !ok {
		return token{}, &Error{Kind: ErrNoCredentials, Text: "ECR has answered with a token of another form"}
	}
	t.user, t.password = user, password
	s.secret(password)
	return t, agree(of.place, t.endpoint)
}

// agree finds a token for another registry than was asked for: an endpoint of
// another region answers so.
func agree(want place, endpoint string) error {
	got, ok := parseHost(endpoint)
	if !ok || want.region == "" && want.account == "" {
		return nil
	}
	if want.region != "" && got.region != want.region || want.account != "" && got.account != want.account {
		return &Error{Kind: ErrRegion, Text: "asked for registry " + want.account + " in " + want.region + ", ECR has answered for " + endpoint}
	}
	return nil
}

func hostOf(endpoint string) string {
	if _, rest, ok := strings.Cut(endpoint, "://"); ok {
		endpoint = rest
	}
	host, _, _ := strings.Cut(endpoint, "/")
	return host
}

// renew gives the token that takes the place of one which a registry does not
// take any more. It is false for what is no token of ours, and for one that is
// still good by the clock unless the registry has said that it is not.
func (s *Service) renew(ctx context.Context, password string, said bool) (token, bool, error) {
	s.mu.Lock()
	var of scope
	found := false
	for k, h := range s.tokens {
		if h.password == password && (said || !s.now().Before(h.until)) {
			h.until = time.Time{} // for all who ask from now on
			of, found = k, true
		} else if h.before == password { // another was as fast
			of, found = k, true
		}
	}
	s.mu.Unlock()
	if !found {
		return token{}, false, nil
	}
	t, err := s.token(ctx, of)
	return t, true, err
}

// authenticator signs in with a token that is good at the time of each request.
type authenticator struct {
	service *Service
	of      scope
}

// Authorization implements [authn.Authenticator].
func (a *authenticator) Authorization() (*authn.AuthConfig, error) {
	return a.AuthorizationContext(context.Background())
}

// AuthorizationContext implements [authn.ContextAuthenticator].
func (a *authenticator) AuthorizationContext(ctx context.Context) (*authn.AuthConfig, error) {
	t, err := a.service.token(ctx, a.of)
	if err != nil {
		return nil, err
	}
	return &authn.AuthConfig{Username: t.user, Password: t.password}, nil
}
