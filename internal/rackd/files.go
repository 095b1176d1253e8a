package rackd

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strings"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// container finds the container of the process that a request is about, which
// has to be there still.
func (s *Server) container(r *http.Request) (id string, err error) {
	p, err := s.process(r)
	if err != nil {
		return "", err
	}
	if p.show().Status != rack.ProcessRunning {
		return "", fault(http.StatusNotFound, "process not found: %s", p.record.ID)
	}
	return p.record.ID, nil
}

// putFiles unpacks a tar stream in a process.
func (s *Server) putFiles(w http.ResponseWriter, r *http.Request) error {
	id, err := s.container(r)
	if err != nil {
		return err
	}
	body := http.MaxBytesReader(w, r.Body, maxObject)
	if err := s.Containers.Unpack(id, body); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, body); err != nil { // the padding of the archive: the connection goes on
		return err
	}
	return done(w)
}

// getFiles answers with a file, or a folder, of a process as a tar stream.
func (s *Server) getFiles(w http.ResponseWriter, r *http.Request) error {
	id, err := s.container(r)
	if err != nil {
		return err
	}
	name := r.URL.Query().Get("file")
	if name == "" {
		return fault(http.StatusBadRequest, "file is required")
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	body := &begun{Writer: w}
	err = s.Containers.Pack(id, name, body)
	switch {
	case err == nil:
		return nil
	case body.any:
		panic(http.ErrAbortHandler) // the client must not take for whole what is not
	case errors.Is(err, fs.ErrNotExist):
		return fault(http.StatusNotFound, "file not found: %s", name)
	}
	return err
}

// begun is an answer that knows whether any of it was sent.
type begun struct {
	io.Writer
	any bool
}

func (b *begun) Write(p []byte) (int, error) {
	b.any = true
	return b.Writer.Write(p)
}

// deleteFiles removes files of a process, of which a client gives a list.
func (s *Server) deleteFiles(w http.ResponseWriter, r *http.Request) error {
	id, err := s.container(r)
	if err != nil {
		return err
	}
	names := strings.FieldsFunc(r.URL.Query().Get("files"), func(c rune) bool { return c == ',' })
	if len(names) == 0 {
		return fault(http.StatusBadRequest, "files is required")
	}
	if err := s.Containers.Delete(id, names); err != nil {
		return err
	}
	return done(w)
}
