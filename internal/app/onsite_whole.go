//go:build !carrier

package app

import (
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/image/entry"
	"github.com/convox-ci/convox-ci/internal/refusal"
	"github.com/convox-ci/convox-ci/internal/registry"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// beOnsite makes this the program that can build on this machine, which it is.
func (p *process) beOnsite() error { return nil }

// onsite builds on this machine for a rack that is elsewhere.
type onsite struct {
	*engine
	image.Wrapper
	keys  authn.Keychain    // of registries
	way   http.RoundTripper // to them; nil for that of their library
	cloud registry.Cloud    // nil for none
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
	var keys authn.Keychain = p.keys
	if p.keys.Keychain == nil {
		keys = authn.NewMultiKeychain(authn.DefaultKeychain, cloud)
	}
	e := &engine{root: filepath.Join(data, "builder"), keychain: keys, variable: p.variable, notice: p.notice, alone: true}
	p.engine = e
	p.console.Mask(p.variable("ACTIONS_RUNTIME_TOKEN")) // with which caches may be asked
	return onsite{e, &entry.Wrapper{Programs: convoxEnv}, keys, cloud.Transport(remote.DefaultTransport), cloud}, nil
}

// keyring is a keychain; there may be none.
type keyring struct{ authn.Keychain }

// Registry implements [workflow.Engine].
func (o onsite) Registry(c workflow.Credentials) bake.Registry {
	keys := o.keys
	if c.Host != "" {
		keys = authn.NewMultiKeychain(ownKeychain{host: c.Host, user: c.User, password: c.Password.Reveal()}, keys)
	}
	return ofRack{&registry.Client{Keychain: keys, Transport: o.way, Cloud: o.cloud}, c.Host}
}

// ofRack is the registry of a rack.
type ofRack struct {
	bake.Registry
	host string
}

// Push implements [bake.Registry].
func (r ofRack) Push(ctx context.Context, layout, ref string) (string, error) {
	digest, err := r.Registry.Push(ctx, layout, ref)
	if fault, ok := errors.AsType[*registry.Fault](err); ok {
		err = &workflow.DeliveryError{Host: r.host, Status: fault.Status, Err: err}
	} else if errors.Is(err, refusal.ErrBusy) {
		err = &workflow.DeliveryError{Host: r.host, Status: http.StatusServiceUnavailable, Err: err}
	}
	return digest, err
}

// Save implements [workflow.Engine].
func (onsite) Save(ctx context.Context, layouts map[string]string) (size int64, write func(io.Writer) error, err error) {
	return (&registry.Client{}).SaveLayouts(ctx, layouts)
}
