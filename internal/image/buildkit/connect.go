package buildkit

import (
	"context"
	"fmt"
	"time"

	"github.com/moby/buildkit/client"
)

// connectTimeout bounds the first answer of a daemon that should be running
// already: long enough for one that a socket starts, short enough for a person.
const connectTimeout = 20 * time.Second

// Dial connects to a daemon by its address in the form of BUILDKIT_HOST:
// unix:///run/buildkit/buildkitd.sock, tcp://HOST:PORT. It returns once the
// daemon has answered.
func Dial(ctx context.Context, address string) (*client.Client, error) {
	return Ready(ctx, address)
}

// Ready makes a client and waits for the daemon's first answer.
func Ready(ctx context.Context, address string, opts ...client.ClientOpt) (*client.Client, error) {
	c, err := client.New(ctx, address, opts...)
	if err != nil {
		return nil, err
	}
	ctx, done := context.WithTimeoutCause(ctx, connectTimeout, fmt.Errorf("no answer within %s", connectTimeout))
	defer done()
	if _, err := c.Info(ctx); err != nil {
		c.Close()
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		return nil, plain(err)
	}
	return c, nil
}
