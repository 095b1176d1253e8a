//go:build !carrier

package app

import (
	"context"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/registry"
	"github.com/convox-ci/convox-ci/internal/registry/ecr"
)

// ownKeychain knows the credentials of one registry, and nothing else.
type ownKeychain struct{ host, user, password string }

// keychain has the credentials of the rack's own registry, then those that were
// added to the rack, then those of the user who started it: first by registry, and
// for registries on ECR those of AWS.
func keychain(own authn.Keychain, added rackd.Registries, cloud *ecr.Service) authn.Keychain {
	return authn.NewMultiKeychain(own, addedKeychain{added, cloud}, authn.DefaultKeychain, cloud)
}

// Resolve implements [authn.Keychain].
func (k ownKeychain) Resolve(r authn.Resource) (authn.Authenticator, error) {
	if r.RegistryStr() != k.host {
		return authn.Anonymous, nil
	}
	return &authn.Basic{Username: k.user, Password: k.password}, nil
}

// addedKeychain knows the registries that were added to the rack, as they are
// when it is asked.
type addedKeychain struct {
	added interface {
		ListRegistries(context.Context) ([]rack.Registry, error)
	}
	cloud *ecr.Service
}

// Resolve implements [authn.Keychain].
func (k addedKeychain) Resolve(r authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), r)
}

// ResolveContext implements [authn.ContextKeychain].
func (k addedKeychain) ResolveContext(ctx context.Context, r authn.Resource) (authn.Authenticator, error) {
	all, err := k.added.ListRegistries(ctx)
	if err != nil {
		return nil, err
	}
	for _, known := range all {
		if registry.Host(known.Server) != r.RegistryStr() {
			continue
		}
		if ecr.IsHost(r.RegistryStr()) { // whose credentials are an access key
			return k.cloud.Authenticator(r.RegistryStr(), known.Username, known.Password), nil
		}
		return &authn.Basic{Username: known.Username, Password: known.Password}, nil
	}
	return authn.Anonymous, nil
}
