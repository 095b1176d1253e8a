// Package embedded is a BuildKit daemon inside this process: with runc on the
// machine it builds without any other service.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/moby/buildkit/client"
	_ "github.com/moby/buildkit/util/grpcutil/encoding/proto" // the codec that the daemon's own program speaks
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"
)

// ErrUnsupported: this machine cannot run the daemon; the text says what is missing.
var ErrUnsupported = errors.New("the embedded BuildKit cannot run here")

// Options say where the daemon keeps its state and how it reaches registries.
type Options struct {
	Root string // directory of its own; caches in it live on from run to run
	// Mirrors maps the host of a registry, as image names have it, to the one
	// that is asked over plain HTTP in its place.
	Mirrors map[string]string
}

// Daemon is a running BuildKit.
type Daemon struct {
	server   *grpc.Server
	listener *bufconn.Listener
	close    func() error
	served   chan error
}

// pipeSize is the buffer of the connection in memory, in bytes; contexts and
// images pass through it.
const pipeSize = 1 << 20

// Start runs a daemon. It fails with [ErrUnsupported] where the machine lacks
// what it needs.
func Start(ctx context.Context, o Options) (*Daemon, error) {
	if err := supported(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	control, err := controller(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("embedded BuildKit: %w", err)
	}
	d := &Daemon{server: grpc.NewServer(), listener: bufconn.Listen(pipeSize), close: control.Close, served: make(chan error, 1)}
	control.Register(d.server)
	go func() { d.served <- d.server.Serve(d.listener) }()
	return d, nil
}

// Address is what a client is made with, beside the [Daemon.Dialer].
const Address = "passthrough:///embedded"

// Dialer makes a client connect to this daemon.
func (d *Daemon) Dialer() client.ClientOpt {
	return client.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return d.listener.DialContext(ctx)
	})
}

// Close ends the daemon after its builds have been cut off, and closes its
// databases.
func (d *Daemon) Close() error {
	d.server.Stop()
	<-d.served
	return d.close()
}
