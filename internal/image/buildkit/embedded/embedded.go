// Package embedded is a BuildKit daemon inside this process: with runc on the
// machine it builds without any other service.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/util/grpcerrors"
	_ "github.com/moby/buildkit/util/grpcutil/encoding/proto" // the codec that the daemon's own program speaks
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"github.com/convox-ci/convox-ci/internal/image"
)

// ErrUnsupported: this machine cannot run the daemon; the text says what is missing.
var ErrUnsupported = errors.New("the embedded BuildKit cannot run here")

// ErrBusy: another daemon uses the same root.
var ErrBusy = errors.New("another embedded BuildKit uses the directory")

// Options say where the daemon keeps its state and how it reaches registries.
type Options struct {
	// Root is a directory of its own, which one daemon at a time may use;
	// caches in it live on from run to run.
	Root string
	// Sweep has what a daemon that was killed has left in the root ended first, as
	// [Sweep] does; no daemon is there when it is done.
	Sweep bool
	// Mirrors maps the host of a registry, as image names have it, to the one
	// that is asked over plain HTTP in its place. The first is never asked.
	Mirrors map[string]string
	// Notice is told, once, if the limits of builds cannot be held on this machine;
	// nil for nobody.
	Notice func(string)
}

// Daemon is a running BuildKit.
type Daemon struct {
	listener *bufconn.Listener
	end      func() error
	held     func(image.Limits) image.Limits
}

// pipeSize is the buffer of the connection in memory, in bytes; contexts and
// images pass through it.
const pipeSize = 1 << 20

// maxMessage is the largest message that is taken, in bytes: as much as
// BuildKit's own program takes and its client sends.
const maxMessage = 16 << 20

// Start runs a daemon until it is closed; ctx bounds the start alone. It fails
// with [ErrUnsupported] where the machine lacks what it needs, and with [ErrBusy]
// where the root is in use.
func Start(ctx context.Context, o Options) (*Daemon, error) {
	if err := supported(o.Root); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	if err := keepLogs(ctx); err != nil {
		return nil, err
	}
	unlock, err := lock(o.Root)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	var control *service
	if o.Sweep {
		err = Sweep(o.Root)
	}
	if err == nil {
		control, err = controller(ctx, o)
	}
	if err != nil {
		stop()
		return nil, errors.Join(fmt.Errorf("embedded BuildKit: %w", err), unlock())
	}
	server := grpc.NewServer(
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage),
		// Without these, clients see no kinds of errors, only texts.
		grpc.ChainUnaryInterceptor(grpcerrors.UnaryServerInterceptor, control.bound),
		grpc.StreamInterceptor(grpcerrors.StreamServerInterceptor),
		grpc.WaitForHandlers(true), // for the databases are closed next
	)
	control.Register(server)
	listener := bufconn.Listen(pipeSize)
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(listener) // ends with the Stop below
	}()
	return &Daemon{listener: listener, held: control.held, end: func() error {
		server.Stop()
		<-served
		stop()
		return errors.Join(control.Close(), unlock())
	}}, nil
}

// Address is what a client is made with, beside the [Daemon.Dialer].
const Address = "passthrough:///embedded"

// Dialer makes a client connect to this daemon.
func (d *Daemon) Dialer() client.ClientOpt {
	return client.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return d.Dial(ctx) })
}

// Dial makes a connection to this daemon, over which it speaks what a BuildKit
// speaks at its socket.
func (d *Daemon) Dial(ctx context.Context) (net.Conn, error) { return d.listener.DialContext(ctx) }

// Held is what of limits this machine can hold, for all steps of a build together. A
// build that is asked to keep to any other fails.
func (d *Daemon) Held(l image.Limits) image.Limits { return d.held(l) }

// Close cuts off the builds under way, ends the daemon and closes its
// databases, so that another may use the same root.
func (d *Daemon) Close() error { return d.end() }
