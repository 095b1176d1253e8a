package rackd

import (
	"context"
	"io"
	"net/http"

	"github.com/gorilla/mux"
)

// listProcesses answers that nothing runs: this rack starts no services.
// Clients ask while they wait for a promote, and show what they get.
func (s *Server) listProcesses(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.app(r.Context(), mux.Vars(r)["app"]); err != nil {
		return err
	}
	return render(w, []struct{}{})
}

// openAppLog gives the log of what runs in an app, for the same clients. It is
// silent, and stays open unless the client asks not to follow.
func (s *Server) openAppLog(ctx context.Context, r *http.Request) (io.ReadCloser, error) {
	if _, err := s.app(ctx, mux.Vars(r)["app"]); err != nil {
		return nil, err
	}
	if follow := r.Header.Get("Follow"); follow != "" && follow != "true" {
		return http.NoBody, nil
	}
	return &silence{client: ctx, rack: s.work}, nil
}

// silence is a stream without a byte, which ends when the rack stops.
type silence struct {
	client, rack context.Context
}

func (s *silence) Read([]byte) (int, error) {
	select {
	case <-s.client.Done():
		return 0, context.Cause(s.client)
	case <-s.rack.Done():
		return 0, io.EOF
	}
}

func (s *silence) Close() error { return nil }
