//go:build !carrier

package app

import (
	"context"
	"io"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/image/entry"
	"github.com/convox-ci/convox-ci/internal/registry"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// beOnsite makes this the program that can build on this machine, which it is.
func (p *process) beOnsite() error { return nil }

// onsite builds on this machine for a rack that is elsewhere.
type onsite struct {
	*engine
	image.Wrapper
}

// openEngine finds what builds on this machine. The run closes it.
func (p *process) openEngine(ctx context.Context) (workflow.Engine, error) {
	data, err := p.dataDir("")
	if err != nil {
		return nil, err
	}
	e := &engine{root: filepath.Join(data, "builder"), keychain: p.keychain(), variable: p.variable, notice: p.notice, alone: true}
	p.engine = e
	return onsite{e, &entry.Wrapper{Programs: convoxEnv}}, nil
}

// keyring is a keychain; there may be none.
type keyring struct{ authn.Keychain }

// keychain has the credentials of the registries that images are built from.
func (p *process) keychain() authn.Keychain {
	if p.keys.Keychain != nil {
		return p.keys
	}
	return authn.DefaultKeychain
}

// Registry implements [workflow.Engine].
func (onsite) Registry(c workflow.Credentials) bake.Registry {
	var keys authn.Keychain = authn.DefaultKeychain
	if c.Host != "" {
		keys = authn.NewMultiKeychain(ownKeychain{host: c.Host, user: c.User, password: c.Password.Reveal()}, keys)
	}
	return &registry.Client{Keychain: keys}
}

// Save implements [workflow.Engine].
func (onsite) Save(ctx context.Context, layouts map[string]string) (size int64, write func(io.Writer) error, err error) {
	return (&registry.Client{}).SaveLayouts(ctx, layouts)
}
