package buildkit

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/util/entitlements"

	"github.com/convox-ci/convox-ci/internal/image"
)

// DefaultDocker is where Docker's engine listens unless DOCKER_HOST says otherwise.
const DefaultDocker = "unix:///var/run/docker.sock"

// Docker builds with the BuildKit inside Docker's engine, over the engine's own
// socket: neither the docker command nor a daemon of BuildKit is needed.
type Docker struct {
	// Keychain has the credentials for the registries of base images; nil has none.
	Keychain authn.Keychain

	client *client.Client
	engine engine
}

var _ image.Cacher = (*Docker)(nil)

// DialDocker connects to an engine by its address, unix:///PATH or tcp://HOST:PORT,
// over TLS unless secure is nil, and returns once its BuildKit has answered.
func DialDocker(ctx context.Context, address string, secure *tls.Config) (*Docker, error) {
	e, err := newEngine(address, secure)
	if err != nil {
		return nil, err
	}
	c, err := Ready(ctx, "passthrough:///docker",
		client.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return e.grpc(ctx, "/grpc", nil)
		}),
		client.WithSessionDialer(func(ctx context.Context, proto string, meta map[string][]string) (net.Conn, error) {
			return e.grpc(ctx, "/session", http.Header(meta))
		}))
	if err != nil {
		return nil, err
	}
	return &Docker{client: c, engine: e}, nil
}

// Close ends the connection to the engine.
func (d *Docker) Close() error { return d.client.Close() }

// Build has the image from the engine's BuildKit itself where that can hand one
// over; else it goes through the engine's own store, the only way that every engine
// has. Steps run on the engine's own network, as a Rack's do.
func (d *Docker) Build(ctx context.Context, s image.Spec, log io.Writer) error {
	opt, err := solveOptions(s)
	if err != nil {
		return err
	}
	if err := useCache(&opt, s.Cache, log); err != nil {
		return err
	}
	opt.FrontendAttrs["force-network-mode"] = "host"
	opt.AllowedEntitlements = []string{entitlements.EntitlementNetworkHost.String()} // which engines grant by default
	if d.Keychain != nil {
		opt.Session = append(opt.Session, credentials(d.Keychain))
	}
	if d.onContainerd(ctx) {
		opt.Exports = toLayout(s)
		_, err = solve(ctx, d.client, opt, bounds{Limits: s.Limits}, log)
		return err
	}
	return d.throughStore(ctx, s, opt, log)
}

// throughStore builds into the engine's store under a name of its own, and takes the
// image out of there.
func (d *Docker) throughStore(ctx context.Context, s image.Spec, opt client.SolveOpt, log io.Writer) (err error) {
	name := "convox-ci/build:" + rand.Text()
	opt.Exports = []client.ExportEntry{{Type: "moby", Attrs: map[string]string{"name": name}}}
	if _, err = solve(ctx, d.client, opt, bounds{Limits: s.Limits}, log); err == nil {
		err = d.save(ctx, name, s.Layout)
	}
	if left := d.remove(ctx, name); left != nil && err == nil {
		fmt.Fprintf(log, "%s stays in Docker: %v\n", name, left)
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// removeTimeout bounds the removal of an image from the engine, also where
// nobody waits for the build any more.
const removeTimeout = 30 * time.Second

func (d *Docker) remove(ctx context.Context, name string) error {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer done()
	return d.engine.do(ctx, http.MethodDelete, "/images/"+name, nil, nil)
}

// save writes an image of the engine to an OCI layout.
func (d *Docker) save(ctx context.Context, name, dir string) error {
	p, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	archive := dir + ".tar" // which has to be read more than once
	defer os.Remove(archive)
	err = d.engine.do(ctx, http.MethodGet, "/images/"+name+"/get", nil, func(body io.Reader) error {
		f, err := os.Create(archive)
		if err != nil {
			return err
		}
		defer f.Close()
		if _, err := io.Copy(f, body); err != nil {
			return err
		}
		return f.Close()
	})
	if err != nil {
		return err
	}
	img, err := tarball.ImageFromPath(archive, nil)
	if err != nil {
		return err
	}
	return p.AppendImage(img)
}
