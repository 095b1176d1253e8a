//go:build !carrier

package app

import (
	"context"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/registry"
)

// ownKeychain knows the credentials of one registry, and nothing else.
type ownKeychain struct{ host, user, password string }

// keychain has the credentials of the embedded registry, then those that were
// added to the rack, then those of the user who started it.
func keychain(own ownKeychain, added rackd.Registries) authn.Keychain {
	return authn.NewMultiKeychain(own, addedKeychain{added}, authn.DefaultKeychain)
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
type addedKeychain struct{ added rackd.Registries }

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
		if registry.Host(known.Server) == r.RegistryStr() {
			return &authn.Basic{Username: known.Username, Password: known.Password}, nil
		}
	}
	return authn.Anonymous, nil
}
