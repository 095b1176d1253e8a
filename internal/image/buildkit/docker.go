package buildkit

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
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
			return e.hijack(ctx, "/grpc", nil)
		}),
		client.WithSessionDialer(func(ctx context.Context, proto string, meta map[string][]string) (net.Conn, error) {
			return e.hijack(ctx, "/session", http.Header(meta))
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
	return d.engine.do(ctx, http.MethodDelete, "/images/"+name, nil)
}

// save writes an image of the engine to an OCI layout.
func (d *Docker) save(ctx context.Context, name, dir string) error {
	p, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	archive := dir + ".tar" // which has to be read more than once
	defer os.Remove(archive)
	err = d.engine.do(ctx, http.MethodGet, "/images/"+name+"/get", func(body io.Reader) error {
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

// engine is the little of Docker's HTTP API that a build needs.
// https://docs.docker.com/reference/api/engine/
type engine struct {
	network, address string
	secure           *tls.Config // nil for none
}

func newEngine(raw string, secure *tls.Config) (engine, error) {
	network, address, _ := strings.Cut(raw, "://")
	if network != "unix" && network != "tcp" || address == "" {
		return engine{}, fmt.Errorf("%q is not the address of a Docker engine; accepted: unix:///var/run/docker.sock, tcp://127.0.0.1:2375", raw)
	}
	return engine{network, address, secure}, nil
}

func (e engine) dial(ctx context.Context) (net.Conn, error) {
	if e.secure != nil {
		return (&tls.Dialer{Config: e.secure}).DialContext(ctx, e.network, e.address)
	}
	return new(net.Dialer).DialContext(ctx, e.network, e.address)
}

// do sends a request and hands the body of a successful answer to read.
func (e engine) do(ctx context.Context, method, path string, read func(io.Reader) error) error {
	t := &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return e.dial(ctx) },
		DisableKeepAlives: true,
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://docker"+path, nil)
	if err != nil {
		return err
	}
	res, err := (&http.Client{Transport: t}).Do(req)
	if err != nil {
		return fmt.Errorf("docker: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("docker: %s %s: %s", method, path, message(res))
	}
	if read == nil {
		return nil
	}
	return read(res.Body)
}

// maxAnswer is how much is read of an answer that tells an error, in bytes.
const maxAnswer = 8 << 10

// message is what an engine says of an error.
func message(res *http.Response) string {
	var said struct{ Message string }
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&said); err != nil || said.Message == "" {
		return res.Status
	}
	return said.Message
}

// hijack upgrades a request to a raw connection that speaks HTTP/2 without TLS.
func (e engine) hijack(ctx context.Context, path string, header http.Header) (net.Conn, error) {
	conn, err := e.dial(ctx)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://docker"+path, nil)
	if err != nil {
		conn.Close()
		return nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "h2c")
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := req.Write(conn); err != nil {
		conn.Close()
		return nil, err
	}
	buffered := bufio.NewReader(conn)
	res, err := http.ReadResponse(buffered, req)
	if err != nil {
		conn.Close()
		return nil, err
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		defer conn.Close()
		return nil, fmt.Errorf("docker: POST %s: %s", path, message(res))
	}
	return &upgraded{Conn: conn, r: buffered}, nil
}

// upgraded is a connection of which some bytes may already have been read.
type upgraded struct {
	net.Conn
	r *bufio.Reader
}

func (u *upgraded) Read(p []byte) (int, error) { return u.r.Read(p) }
