package rack

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/coder/websocket"
)

const (
	inputSize = 1024 // bytes of one message of input, as the official clients have it
	maxStatus = 255  // that a process can end with: more would be cut, 256 to success
)

// ExecOptions say what is run in a process.
type ExecOptions struct {
	Command    string    // handed to a shell on v2 racks, taken apart into words on v3; no line break
	Entrypoint bool      // put the entry point of the image before it
	Input      io.Reader // sent as it comes; nil: there is none
	Output     io.Writer // takes what the command prints, as it comes, both streams in one
}

// NoStatusError says that a command was to be run in a process and that the rack
// has not reported its exit status.
type NoStatusError struct {
	Ended bool  // the rack ended the stream itself, so that nothing more will come
	Err   error // what is known of the reason
}

func (e *NoStatusError) Error() string {
	return "the rack did not report the exit status of the command: " + e.Err.Error()
}

// Unwrap gives the reason.
func (e *NoStatusError) Unwrap() error { return e.Err }

// errNoStatus is the reason where the rack ended a stream without a word of it.
var errNoStatus = errors.New("its output ended without one")

// Exec runs a command in a running process and returns its exit status, 255 for
// one that no process can end with. A stream that breaks is a [NoStatusError]:
// the command may go on or not.
func (c *Client) Exec(ctx context.Context, app, process string, o ExecOptions) (int, error) {
	h := http.Header{"Command": {o.Command}, "Tty": {"false"}}
	if o.Entrypoint {
		h.Set("Entrypoint", strconv.FormatBool(o.Entrypoint))
	}
	conn, err := c.stream(ctx, path("apps", app, "processes", process, "exec"), h)
	if err != nil {
		return 0, err
	}
	ctx, stop := context.WithCancel(ctx)
	defer conn.CloseNow()
	defer stop()
	go keepOpen(ctx, conn)
	go sendInput(ctx, conn, o.Input)
	last := &head{}
	filter := &exitFilter{out: o.Output}
	ended := receive(ctx, conn, func() { last.kept = last.kept[:0] }, io.MultiWriter(last, filter))
	if ours(ended) != nil {
		return 0, ours(ended)
	}
	status, fault, ok, err := filter.end(ended != nil)
	switch {
	case err != nil:
		return 0, ours(err)
	case ok && fault == "":
		if status < 0 || status > maxStatus {
			status = maxStatus
		}
		return status, nil
	case ctx.Err() != nil:
		return 0, context.Cause(ctx)
	case ended != nil:
		return 0, &NoStatusError{Err: ended}
	case ok:
		return 0, &NoStatusError{Ended: true, Err: errors.New(fault)}
	case last.fault() != "":
		return 0, &NoStatusError{Ended: true, Err: errors.New(last.fault())}
	}
	return 0, &NoStatusError{Ended: true, Err: errNoStatus}
}

// sendInput sends what there is and then that there is no more. It waits as long
// as the rack takes, since a command may do other things before it reads on. An
// error shows where the stream is read.
func sendInput(ctx context.Context, conn *websocket.Conn, from io.Reader) {
	p := make([]byte, inputSize)
	for from != nil {
		n, err := from.Read(p)
		if n > 0 && conn.Write(ctx, websocket.MessageText, p[:n]) != nil {
			return
		}
		if err != nil {
			break
		}
	}
	conn.Write(ctx, websocket.MessageBinary, nil)
}

// receive copies a stream to out, message by message, until the rack ends it;
// begin is called before each.
func receive(ctx context.Context, conn *websocket.Conn, begin func(), out io.Writer) error {
	buffer := make([]byte, copySize)
	for {
		kind, message, err := conn.Reader(ctx)
		if err != nil {
			return broken(ctx, err)
		}
		if kind == websocket.MessageBinary { // any binary message is the end
			return nil
		}
		begin()
		if _, err := io.CopyBuffer(out, message, buffer); err != nil {
			if ours(err) != nil {
				return err
			}
			return broken(ctx, err)
		}
	}
}

// head keeps the first maxRefusal bytes written to it: of the last message of a
// stream, by which a rack reports that it could not do what was asked, there are
// not more.
type head struct{ kept []byte }

func (h *head) Write(p []byte) (int, error) {
	if room := maxRefusal - len(h.kept); room > 0 {
		h.kept = append(h.kept, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

// fault is what the rack reported, "" if the message was something else.
func (h *head) fault() string {
	if !mayBeFault(h.kept) || len(h.kept) <= len(refusedPrefix) {
		return ""
	}
	return message(h.kept[len(refusedPrefix):])
}
