package buildkit

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"

	"github.com/moby/buildkit/client"
)

// inContainer begins the address of a daemon in a container of Docker's.
const inContainer = "docker-container://"

// containerName is what Docker takes for one.
var containerName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`)

// ContainerOf is the name of the container in an address of the form
// docker-container://NAME, in which docker/setup-buildx-action and docker buildx have
// their daemons; ok is false for other addresses.
func ContainerOf(address string) (name string, ok bool) {
	name, ok = strings.CutPrefix(address, inContainer)
	return name, ok && containerName.MatchString(name)
}

// DialContainer connects to a daemon that runs in a container of an engine, which is
// found as [DialDocker] finds it. The docker command is not needed; in the container
// it is buildctl that leads to the daemon, as BuildKit's own images have it.
func DialContainer(ctx context.Context, address string, secure *tls.Config, container string) (*client.Client, error) {
	e, err := newEngine(address, secure)
	if err != nil {
		return nil, err
	}
	return Ready(ctx, "passthrough:///container", client.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return e.exec(ctx, container, "buildctl", "dial-stdio")
	}))
}

// exec runs a program in a container and connects to its input and output.
// https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Exec
func (e engine) exec(ctx context.Context, container string, program ...string) (net.Conn, error) {
	var made struct{ ID string }
	err := e.do(ctx, http.MethodPost, "/containers/"+container+"/exec",
		map[string]any{"AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "Cmd": program},
		func(body io.Reader) error { return json.NewDecoder(io.LimitReader(body, maxAnswer)).Decode(&made) })
	if err != nil {
		return nil, err
	}
	req, err := request(ctx, http.MethodPost, "/exec/"+made.ID+"/start", map[string]bool{"Detach": false, "Tty": false})
	if err != nil {
		return nil, err
	}
	conn, err := e.upgrade(req, "tcp")
	if err != nil {
		return nil, err
	}
	return &attached{upgraded: conn, what: strings.Join(program, " ") + " in the container " + container}, nil
}

// attached is a connection to a program in a container: what is written gets to it as
// it is, and what it says comes in frames, each with the stream that it is of.
// https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach
type attached struct {
	*upgraded
	what string // for errors

	left  uint32 // bytes of the frame that is read
	begun bool   // something of its output was read
	said  string // to its standard error, as far as it is kept
}

// Streams of frames. There is none of the program's input.
const (
	streamOut = 1
	streamErr = 2
)

// frameHead is how long the head of a frame is: the stream, three zeros, the length.
const frameHead = 8

// Read reads what the program says to its standard output. An end without any is an
// error that tells what it said else.
func (a *attached) Read(p []byte) (int, error) {
	for a.left == 0 {
		if err := a.next(); err != nil {
			return 0, err
		}
	}
	n, err := a.upgraded.Read(p[:min(len(p), int(a.left))])
	a.left -= uint32(n)
	return n, err
}

// next reads the head of the next frame of output, and the frames before it.
func (a *attached) next() error {
	var head [frameHead]byte
	if _, err := io.ReadFull(a.upgraded, head[:]); err != nil {
		if err == io.EOF && !a.begun && a.said != "" {
			return a.fault(a.said)
		}
		return err
	}
	size := binary.BigEndian.Uint32(head[4:])
	switch {
	case head[0] == streamErr:
		return a.keep(size)
	case head[0] != streamOut || head[1]|head[2]|head[3] != 0:
		return a.fault("what Docker says of it is not understood")
	}
	a.left = size
	if a.begun || size == 0 {
		return nil
	}
	// A daemon begins with a zero, the length of its first frame of HTTP/2. Why a
	// program could not be run, Docker says as if the program had said it.
	first, err := a.r.Peek(1)
	if err != nil {
		return err
	}
	if a.begun = first[0] == 0; a.begun {
		return nil
	}
	if err := a.keep(size); err != nil {
		return err
	}
	return a.fault(a.said)
}

// keep reads a frame that is text, of which the beginning is kept.
func (a *attached) keep(size uint32) error {
	text, err := io.ReadAll(io.LimitReader(a.upgraded, min(int64(size), maxAnswer)))
	if err == nil {
		_, err = io.CopyN(io.Discard, a.upgraded, int64(size)-int64(len(text)))
	}
	if room := maxAnswer - len(a.said); room > 0 {
		a.said += string(text[:min(len(text), room)])
	}
	return err
}

func (a *attached) fault(text string) error {
	return fmt.Errorf("%s: %s", a.what, strings.Join(strings.Fields(text), " "))
}
