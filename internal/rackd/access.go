package rackd

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Access says who may do what, besides those who know the password, and who is
// told of it.
type Access struct {
	Tokens []byte       // key that tokens are signed with; nil gives none, and takes none
	Audit  func(Change) // told of every request to change something, also of those refused; nil for nobody
}

// Change is a request to change something. It names nothing that a form or a
// header held, which may be secret.
type Change struct {
	At      time.Time `json:"at"`
	User    string    `json:"user"`    // "password" for those who know it, else the user of a token; "" was not let in
	Role    string    `json:"role"`    // r or rw; "" was not let in
	Address string    `json:"address"` // that the request came from, with its port
	Method  string    `json:"method"`
	Path    string    `json:"path"`
	Status  int       `json:"status"` // of the answer
}

// Roles of callers, as tokens hold them.
const (
	roleRead  = "r"
	roleWrite = "rw"
)

// caller is who sends a request.
type caller struct{ user, role string }

var (
	errUnknown = fault(http.StatusUnauthorized, "invalid authentication")
	errReader  = fault(http.StatusUnauthorized, "you are unauthorized to access this")
)

// authenticate finds out who sends a request. Who knows the password may do
// everything, whatever name comes with it; who has a token may do what it says.
// Without a password everybody is let in.
func (s *Server) authenticate(r *http.Request) (caller, error) {
	user, given, tried := r.BasicAuth()
	token := user == tokenUser && s.Access.Tokens != nil
	if s.Password == "" && !token {
		return caller{"anybody", roleWrite}, nil
	}
	if !tried {
		return caller{}, errUnknown
	}
	from := watchedAs(r.RemoteAddr)
	if wait := s.logins.wait(from, now()); wait > 0 {
		return caller{}, &lockedOut{wait}
	}
	if token {
		c, err := readToken(s.tokenKey(), given, now())
		if err != nil {
			s.logins.failed(from, now())
			return caller{}, fault(http.StatusUnauthorized, "invalid authentication: %v", err)
		}
		return caller{c.User, c.Role}, nil
	}
	if !samePassword(given, s.Password) {
		s.logins.failed(from, now())
		return caller{}, errUnknown
	}
	return caller{"password", roleWrite}, nil
}

// samePassword compares in a time that tells nothing, not even the length.
// Official clients send the password as it stands in their URL, so the
// percent-decoded form counts as well.
func samePassword(given, password string) bool {
	decoded, err := url.PathUnescape(given)
	if err != nil {
		decoded = given
	}
	want, a, b := sha256.Sum256([]byte(password)), sha256.Sum256([]byte(given)), sha256.Sum256([]byte(decoded))
	return subtle.ConstantTimeCompare(a[:], want[:])|subtle.ConstantTimeCompare(b[:], want[:]) == 1
}

// permit lets a request in: to read, or to change something.
func (s *Server) permit(r *http.Request) (caller, error) {
	c, err := s.authenticate(r)
	if err == nil && c.role != roleWrite && changes(r.Method) {
		err = errReader
	}
	return c, err
}

// permitExec lets a request for a command in. It is a GET, and changes more than
// any other: a v3 rack asks for the right to write as well.
func (s *Server) permitExec(r *http.Request) error {
	c, err := s.authenticate(r)
	if err == nil && c.role != roleWrite {
		err = fault(http.StatusForbidden, "process exec requires write access")
	}
	s.note(r, c, err)
	return err
}

func changes(method string) bool { return method != http.MethodGet && method != http.MethodHead }

// maxNoted bounds a path in a note, in bytes.
const maxNoted = 1 << 10

// note tells of a change.
func (s *Server) note(r *http.Request, c caller, err error) {
	if s.Access.Audit == nil {
		return
	}
	status := http.StatusOK
	if err != nil {
		status = statusOf(err)
	}
	s.Access.Audit(Change{
		At: now(), User: c.user, Role: c.role, Address: r.RemoteAddr, Method: r.Method,
		Path: r.URL.Path[:min(len(r.URL.Path), maxNoted)], Status: status,
	})
}

// refuse answers with an error.
func refuse(w http.ResponseWriter, err error) {
	if late, ok := errors.AsType[*lockedOut](err); ok {
		w.Header().Set("Retry-After", strconv.Itoa(late.seconds()))
	}
	http.Error(w, err.Error(), statusOf(err))
}
