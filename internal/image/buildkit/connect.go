package buildkit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/buildkit/client"
)

// connectTimeout bounds the first answer of a daemon that should be running
// already: long enough for one that a socket starts, short enough for a person.
const connectTimeout = 20 * time.Second

// Dial connects to a daemon by its address in the form of BUILDKIT_HOST,
// unix:///run/buildkit/buildkitd.sock, tcp://HOST:PORT without TLS, or on
// Windows npipe:////./pipe/NAME; see [DialContainer] for others. It returns once the
// daemon has answered.
func Dial(ctx context.Context, address string) (*client.Client, error) {
	scheme, rest, _ := strings.Cut(address, "://")
	if !slices.Contains([]string{"unix", "tcp", "npipe"}, scheme) || rest == "" {
		return nil, fmt.Errorf("%q is not the address of a BuildKit daemon; accepted: unix:///run/buildkit/buildkitd.sock, tcp://127.0.0.1:1234, docker-container://NAME", address)
	}
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
	// The question that daemons of every age can answer: Info is a later one.
	if _, err := c.ListWorkers(ctx); err != nil {
		c.Close()
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		return nil, unreachable(err)
	}
	return c, nil
}

// unreachable takes the reason why a connection was not made out of gRPC's
// words around it.
func unreachable(err error) error {
	_, quoted, _ := strings.Cut(err.Error(), "desc = ")
	reason, fault := strconv.Unquote(quoted)
	if fault != nil {
		return plain(err)
	}
	for _, around := range []string{"transport: Error while dialing: ", "error reading server preface: "} {
		reason = strings.TrimPrefix(reason, around)
	}
	return errors.New(reason)
}
