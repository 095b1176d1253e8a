package buildkit

import (
	"context"

	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/auth/authprovider"
)

// credentials hands a daemon what a keychain has for the registries of base
// images, each when the daemon asks for it, during one build.
func credentials(k authn.Keychain) session.Attachable {
	return authprovider.NewDockerAuthProvider(authprovider.DockerAuthProviderConfig{
		AuthConfigProvider: func(ctx context.Context, host string, _ []string, _ authprovider.ExpireCachedAuthCheck) (types.AuthConfig, error) {
			if host == authprovider.DockerHubRegistryHost {
				host = name.DefaultRegistry
			}
			r, err := name.NewRegistry(host)
			if err != nil {
				return types.AuthConfig{}, nil // a host that no keychain can know
			}
			known, err := authn.Resolve(ctx, k, r)
			if err != nil {
				return types.AuthConfig{}, err
			}
			c, err := authn.Authorization(ctx, known)
			if err != nil {
				return types.AuthConfig{}, err
			}
			return types.AuthConfig{ServerAddress: host, Username: c.Username, Password: c.Password,
				IdentityToken: c.IdentityToken, RegistryToken: c.RegistryToken}, nil
		},
	})
}
