package rackd

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"github.com/gorilla/mux"

	"github.com/convox-ci/convox-ci/internal/rack"
)

const (
	pieceSize    = 16 << 10         // bytes of one message of a log
	writeTimeout = 30 * time.Second // for a client that stopped reading: its build goes on without it
)

// sockets adds the streams of the API. A path of these asked for without an
// upgrade is unknown.
func (s *Server) sockets(r *mux.Router) {
	upgrade := func(path string, open func(context.Context, *http.Request) (io.ReadCloser, error)) {
		r.Handle(path, s.stream(open)).Methods("GET").Headers("Upgrade", "websocket")
	}
	upgrade("/apps/{app}/builds/{id}/logs", s.openBuildLog)
	upgrade("/apps/{app}/logs", s.openAppLog)
	upgrade("/apps/{app}/processes/{id}/logs", s.openProcessLog)
	upgrade("/system/logs", s.openSystemLog)
	r.Handle("/apps/{app}/processes/{id}/exec", s.exec()).Methods("GET").Headers("Upgrade", "websocket")
}

// stream answers a WebSocket with what open gives: text messages, then an empty
// binary one as the end. The handshake comes first, so a fault is text too.
func (s *Server) stream(open func(context.Context, *http.Request) (io.ReadCloser, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return // it has been answered
		}
		defer conn.CloseNow()
		ctx := drain(r.Context(), conn)
		_, err = s.authenticate(r)
		if err == nil {
			err = copyTo(ctx, conn, func() (io.ReadCloser, error) { return open(ctx, r) })
		}
		if err != nil {
			send(ctx, conn, websocket.MessageText, []byte("ERROR: "+err.Error()+"\n"))
		}
		send(ctx, conn, websocket.MessageBinary, nil)
		conn.Close(websocket.StatusNormalClosure, "")
	})
}

// drain reads what the client sends, which answers its pings, and drops it: a
// log has no input, and a client that sends some, or an end of it, is to have
// its log all the same. The context ends when the client leaves.
func drain(ctx context.Context, conn *websocket.Conn) context.Context {
	conn.SetReadLimit(-1) // nothing is kept
	ctx, left := context.WithCancel(ctx)
	go func() {
		defer left()
		for {
			_, r, err := conn.Reader(ctx)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, r); err != nil {
				return
			}
		}
	}()
	return ctx
}

// copyTo sends a stream in pieces as they come.
func copyTo(ctx context.Context, conn *websocket.Conn, open func() (io.ReadCloser, error)) error {
	from, err := open()
	if err != nil {
		return err
	}
	defer from.Close()
	p := make([]byte, pieceSize)
	for {
		n, err := from.Read(p)
		if n > 0 {
			if err := send(ctx, conn, websocket.MessageText, p[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func send(ctx context.Context, conn *websocket.Conn, kind websocket.MessageType, p []byte) error {
	ctx, done := context.WithTimeout(ctx, writeTimeout)
	defer done()
	return conn.Write(ctx, kind, p)
}

// openBuildLog gives the log of a build from its first byte: that of a running
// one as it grows, that of an ended one from where its record says. It is the
// same bytes, since clients skip by count what they have.
func (s *Server) openBuildLog(ctx context.Context, r *http.Request) (io.ReadCloser, error) {
	app, id := mux.Vars(r)["app"], mux.Vars(r)["id"]
	b, err := s.build(ctx, app, id)
	if err != nil {
		return nil, err
	}
	if b.Status == rack.BuildRunning {
		if log, live, err := s.logs.open(ctx, id); live {
			return log, err
		}
		if b, err = s.build(ctx, app, id); err != nil { // it ended in between
			return nil, err
		}
	}
	owner, key, ok := parseObjectURL(b.Logs)
	if !ok {
		return http.NoBody, nil
	}
	log, err := s.Stores.Objects.OpenObject(ctx, owner, key)
	if isNotFound(err) {
		return nil, fault(http.StatusNotFound, "unable to read logs for build: %s", id)
	}
	return log, err
}
