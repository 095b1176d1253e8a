package ecr

import (
	"context"

	"github.com/google/go-containerregistry/pkg/authn"
)

// Resolve implements [authn.Keychain]: it knows all registries on ECR, with the
// credentials of AWS that this process has.
func (s *Service) Resolve(r authn.Resource) (authn.Authenticator, error) {
	return s.Authenticator(r.RegistryStr(), "", ""), nil
}

// Authenticator signs in to the registry of a host with tokens for an access key
// of AWS, or for the credentials that this process has if that is "". It is
// [authn.Anonymous] for a host that is none of ECR. What goes wrong with the
// credentials is said when it is used.
func (s *Service) Authenticator(host, accessKey, secret string) authn.Authenticator {
	at, ok := s.at(host)
	if !ok {
		return authn.Anonymous
	}
	return &authenticator{s, scope{at, pair{accessKey, secret}}}
}

// Login implements [registry.Cloud]: credentials of a registry on ECR are an
// access key of AWS, which is good if it gets a token.
func (s *Service) Login(ctx context.Context, host, username, password string) (bool, error) {
	at, ok := s.at(host)
	if !ok {
		return false, nil
	}
	_, err := s.ask(ctx, scope{at, pair{username, password}})
	return true, err
}
