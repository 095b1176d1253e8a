package rackd

import (
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	// bodyTimeout is how long a client may send nothing of a body: a line that is
	// cut off is noticed, and nobody holds a connection for free.
	bodyTimeout = 2 * time.Minute

	// maxObject bounds an object, in bytes: what a source may be unpacked.
	maxObject = 8 << 30
)

// steady is a body that has to go on.
type steady struct {
	io.ReadCloser
	connection *http.ResponseController
}

// Read gives the client some time for the next piece. Once the body is over, its
// connection is only watched for its end, for which there is no limit: the answer
// may take long.
func (s *steady) Read(p []byte) (int, error) {
	s.connection.SetReadDeadline(time.Now().Add(bodyTimeout)) // fails where there is no connection, as in tests
	n, err := s.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		s.connection.SetReadDeadline(time.Time{})
	}
	return n, err
}

// requireSteady makes the body of a request one that has to go on.
func requireSteady(w http.ResponseWriter, r *http.Request) {
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &steady{r.Body, http.NewResponseController(w)}
	}
}

// Steady serves with another handler, whose clients may not stop in the middle of
// a body any more than those of a rack.
func Steady(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requireSteady(w, r)
		h.ServeHTTP(w, r)
	})
}
