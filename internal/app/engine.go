//go:build !carrier

package app

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/image/buildkit"
	"github.com/convox-ci/convox-ci/internal/image/buildkit/embedded"
)

// engine is the builder of the embedded rack: the first that can be had of a
// BuildKit daemon that BUILDKIT_HOST names, the BuildKit inside Docker, and one
// inside this process. It is looked for when the first build needs it, so that
// a rack that only answers questions needs none.
type engine struct {
	root     string            // of the embedded one
	mirrors  map[string]string // likewise
	keychain authn.Keychain    // for the registries of base images and of the build cache
	alone    bool              // others may use the same root: then one without a cache will do
	variable func(name string) string
	notice   func(line string)

	mu      sync.Mutex
	builder image.Builder
	own     bool // that is the one inside this process
	closers []func() error
}

// Build implements [image.Builder].
func (e *engine) Build(ctx context.Context, s image.Spec, log io.Writer) error {
	b, err := e.get(ctx)
	if err != nil {
		return err
	}
	s.Cache.Imports, s.Cache.Exports = e.ofActions(s.Cache.Imports), e.ofActions(s.Cache.Exports)
	return b.Build(ctx, s, log)
}

// Caches implements [image.Cacher]. Where there is no builder it says yes: what
// is missing is for the build to say, which is next.
func (e *engine) Caches(ctx context.Context) bool {
	b, err := e.get(ctx)
	if err != nil {
		return true
	}
	c, ok := b.(image.Cacher)
	return ok && c.Caches(ctx)
}

// Close ends what was started.
func (e *engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var errs []error
	for i := range e.closers {
		errs = append(errs, e.closers[len(e.closers)-1-i]())
	}
	e.builder, e.closers = nil, nil
	return errors.Join(errs...)
}

func (e *engine) get(ctx context.Context) (image.Builder, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.builder != nil {
		return e.builder, nil
	}
	var err error
	e.builder, err = e.find(ctx)
	return e.builder, err
}

// find tries the ways in turn. An address that was given is the only one: the
// one who set it does not want another daemon's cache.
func (e *engine) find(ctx context.Context) (image.Builder, error) {
	if address := e.variable("BUILDKIT_HOST"); address != "" {
		b, err := e.dial(ctx, address)
		if err != nil {
			return nil, fmt.Errorf("BuildKit at BUILDKIT_HOST (%s): %w", address, err)
		}
		b.Keychain = e.keychain
		e.closers = append(e.closers, b.Close)
		return b, nil
	}
	docker, dockerErr := e.findDocker(ctx)
	if dockerErr == nil {
		docker.Keychain = e.keychain
		e.closers = append(e.closers, docker.Close)
		return docker, nil
	}
	b, err := e.startEmbedded(ctx)
	if errors.Is(err, embedded.ErrUnsupported) {
		return nil, fmt.Errorf("no engine to build with; give one of three:\n"+
			"  a BuildKit daemon: set BUILDKIT_HOST to its address, for example unix:///run/buildkit/buildkitd.sock\n"+
			"  Docker: start it, or set DOCKER_HOST (%w)\n"+
			"  the BuildKit in convox-ci: run as root on Linux with runc installed (%w)", dockerErr, err)
	}
	return b, err
}

// dial connects to a BuildKit daemon by its address.
func (e *engine) dial(ctx context.Context, address string) (*buildkit.Builder, error) {
	container, ok := buildkit.ContainerOf(address)
	if !ok {
		c, err := buildkit.Dial(ctx, address)
		if err != nil {
			return nil, err
		}
		return buildkit.New(c), nil
	}
	docker, secure, err := e.dockerHost()
	if err != nil {
		return nil, err
	}
	c, err := buildkit.DialContainer(ctx, docker, secure, container)
	if err != nil {
		return nil, err
	}
	return buildkit.New(c), nil
}

func (e *engine) findDocker(ctx context.Context) (*buildkit.Docker, error) {
	address, secure, err := e.dockerHost()
	if err != nil {
		return nil, err
	}
	return buildkit.DialDocker(ctx, address, secure)
}

// dockerHost is where Docker's engine is, and how it is spoken to, nil for without TLS.
func (e *engine) dockerHost() (address string, secure *tls.Config, err error) {
	address = cmp.Or(e.variable("DOCKER_HOST"), buildkit.DefaultDocker)
	if socket, ok := strings.CutPrefix(address, "unix://"); ok {
		if _, err := os.Stat(socket); err != nil {
			return "", nil, fmt.Errorf("there is no %s", socket)
		}
	}
	secure, err = e.dockerTLS(address)
	return address, secure, err
}

// dockerTLS is how an engine is reached over TCP, nil for without TLS. The variables
// are those of the docker command; one that says where the certificates are says
// that they are to be used.
func (e *engine) dockerTLS(address string) (*tls.Config, error) {
	dir := e.variable("DOCKER_CERT_PATH")
	if !strings.HasPrefix(address, "tcp://") || dir == "" && e.variable("DOCKER_TLS_VERIFY") == "" {
		return nil, nil
	}
	if dir == "" {
		dir = cmp.Or(e.variable("DOCKER_CONFIG"), filepath.Join(e.variable("HOME"), ".docker"))
	}
	secure, err := buildkit.DockerTLS(dir)
	if err != nil {
		return nil, fmt.Errorf("DOCKER_TLS_VERIFY or DOCKER_CERT_PATH asks for TLS: %w", err)
	}
	return secure, nil
}

func (e *engine) startEmbedded(ctx context.Context) (image.Builder, error) {
	// The daemon outlives the build that needs it first.
	ctx = context.WithoutCancel(ctx)
	d, err := embedded.Start(ctx, embedded.Options{Root: e.root, Sweep: e.alone, Mirrors: e.mirrors, Notice: e.notice})
	if e.alone && errors.Is(err, embedded.ErrBusy) {
		d, err = e.startElsewhere(ctx)
	}
	if err != nil {
		return nil, err
	}
	c, err := buildkit.Ready(ctx, embedded.Address, d.Dialer())
	if err != nil {
		return nil, errors.Join(err, d.Close()) // or it would keep its state from the next one
	}
	b := buildkit.New(c)
	b.Keychain, b.Held = e.keychain, d.Held
	e.own = true
	e.closers = append(e.closers, d.Close, b.Close)
	return b, nil
}

// startElsewhere starts a daemon that keeps nothing.
func (e *engine) startElsewhere(ctx context.Context) (*embedded.Daemon, error) {
	root, err := os.MkdirTemp("", "convox-ci-builder-")
	if err != nil {
		return nil, err
	}
	e.closers = append(e.closers, func() error { return os.RemoveAll(root) })
	return embedded.Start(ctx, embedded.Options{Root: root, Mirrors: e.mirrors, Notice: e.notice})
}
