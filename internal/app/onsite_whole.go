//go:build !carrier

package app

import (
	"context"
	"io"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/image/entry"
	"github.com/convox-ci/convox-ci/internal/registry"
	"github.com/convox-ci/convox-ci/internal/registry/ecr"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// beOnsite makes this the program that can build on this machine, which it is.
func (p *process) beOnsite() error { return nil }

// onsite builds on this machine for a rack that is elsewhere.
type onsite struct {
	*engine
	image.Wrapper
	cloud *ecr.Service // for registries on ECR that this machine has no login for
}

// openEngine finds what builds on this machine. The run closes it.
func (p *process) openEngine(ctx context.Context) (workflow.Engine, error) {
	data, err := p.dataDir("")
	if err != nil {
		return nil, err
	}
	account, err := p.account()
	if err != nil {
		return nil, err
	}
	cloud := account.ecr()
	keys := authn.NewMultiKeychain(authn.DefaultKeychain, cloud)
	e := &engine{root: filepath.Join(data, "builder"), keychain: keys, variable: p.variable, notice: p.notice, alone: true}
	p.engine = e
	return onsite{e, &entry.Wrapper{Programs: convoxEnv}, cloud}, nil
}

// Registry implements [workflow.Engine].
func (o onsite) Registry(c workflow.Credentials) bake.Registry {
	keys := authn.NewMultiKeychain(authn.DefaultKeychain, o.cloud)
	if c.Host != "" {
		keys = authn.NewMultiKeychain(ownKeychain{host: c.Host, user: c.User, password: c.Password.Reveal()}, keys)
	}
	return &registry.Client{Keychain: keys, Transport: o.cloud.Transport(remote.DefaultTransport), Cloud: o.cloud}
}

// Save implements [workflow.Engine].
func (onsite) Save(ctx context.Context, layouts map[string]string) (size int64, write func(io.Writer) error, err error) {
	return (&registry.Client{}).SaveLayouts(ctx, layouts)
}
