package rackd

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/coder/websocket"
	"github.com/gorilla/mux"

	"github.com/convox-ci/convox-ci/internal/container"
	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// notStarted is the exit status that is told of a command that was not started,
// that of a shell. A rack of Convox tells none then, and its clients take that
// for success.
const notStarted = 126

// exec answers a WebSocket with a command in a process: input comes as text up
// to the first binary message, output goes as text, then the exit status in a
// message of its own, then an empty binary one. A fault is text before the end.
func (s *Server) exec() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return // it has been answered
		}
		defer conn.CloseNow()
		in := newInput()
		ctx := in.receive(r.Context(), conn)
		status := notStarted
		err = s.permitExec(r)
		if err == nil {
			status, err = s.runIn(r, in, &sender{ctx: ctx, conn: conn})
		}
		in.end()
		if err != nil {
			status = notStarted
		}
		send(ctx, conn, websocket.MessageText, fmt.Appendf(nil, "%s%d\n", rack.ExitPrefix, status))
		if err != nil {
			send(ctx, conn, websocket.MessageText, []byte("ERROR: "+err.Error()+"\n"))
		}
		send(ctx, conn, websocket.MessageBinary, nil)
		conn.Close(websocket.StatusNormalClosure, "")
	})
}

// runIn runs the command that a client asks for, and goes on with it when the
// client has left: only the end of the process ends it.
func (s *Server) runIn(r *http.Request, in *input, out *sender) (int, error) {
	if _, err := s.app(r.Context(), mux.Vars(r)["app"]); err != nil {
		return 0, err
	}
	p, err := s.process(r)
	if err != nil || p.show().Status != rack.ProcessRunning {
		return 0, fault(http.StatusNotFound, "process id not found for %s", mux.Vars(r)["app"])
	}
	c := container.Command{
		Line: r.Header.Get("Command"), Entrypoint: r.Header.Get("Entrypoint") == "true", Wrapper: image.WrapperFile, Env: p.env, Input: in, Output: out,
	}
	if c.Line == "" {
		c.Line = r.URL.Query().Get("command") // the one option that racks look for there as well
	}
	if c.Line == "" {
		return 0, fault(http.StatusBadRequest, "command is required")
	}
	if c.Terminal, err = terminal(r.Header); err != nil {
		return 0, err
	}
	if !s.enter() {
		return 0, errClosing
	}
	defer s.busy.Done()
	return s.Containers.Run(p.record.ID, c)
}

// terminal reads the headers about a terminal, which there is unless the client
// says otherwise. The size is only known to some clients.
func terminal(h http.Header) (*container.Size, error) {
	if tty := h.Get("Tty"); tty != "" && tty != "true" {
		return nil, nil
	}
	var size container.Size
	for name, to := range map[string]*uint16{"Height": &size.Rows, "Width": &size.Columns} {
		if h.Get(name) == "" {
			continue
		}
		n, err := strconv.ParseUint(h.Get(name), 10, 16)
		if err != nil {
			return nil, err
		}
		*to = uint16(n)
	}
	return &size, nil
}

// sender sends output to a client as long as it is there. A client that left,
// or reads nothing for long, disturbs no command.
type sender struct {
	ctx  context.Context
	conn *websocket.Conn
	left bool
}

func (s *sender) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0 && !s.left; {
		n := min(len(rest), pieceSize)
		s.left = send(s.ctx, s.conn, websocket.MessageText, rest[:n]) != nil
		rest = rest[n:]
	}
	return len(p), nil
}
