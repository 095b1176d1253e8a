package rack

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Kinds of errors, to be asked for with [errors.Is].
var (
	// ErrNotFound: the rack has no such app, build, release or object.
	ErrNotFound = errors.New("not found")
	// ErrUnauthorized: the key was not accepted.
	ErrUnauthorized = errors.New("not authorized")
	// ErrForbidden: the key was accepted but may not do this, or the app is busy.
	ErrForbidden = errors.New("forbidden")
	// ErrUnavailable: the rack could not be reached, or something between us and it answered in its place.
	ErrUnavailable = errors.New("rack unavailable")
	// ErrConflict: the record is not, or no longer, what the caller believed.
	ErrConflict = errors.New("conflict")
	// ErrUnsupported: the rack does not know such a request; it may be too old for it, and
	// is ErrNotFound as well where it says no more than that.
	ErrUnsupported = errors.New("not supported by the rack")
)

// Error is an answer that is no success, or the lack of an answer. It holds
// neither the host's credentials nor a query.
type Error struct {
	Method  string // of the request, "" when the rack itself makes the error
	Path    string // without the query, which may carry a signed token
	Status  int    // HTTP status; 0 when there was no answer
	Message string // the rack's own words, at most maxErrorBody bytes
	Err     error  // why there was no answer; nil when there was one

	after     time.Duration // that the other side wants to be left alone for, 0 if it did not say
	challenge string        // header WWW-Authenticate of the answer
}

// errSilent is the cause when an answer did not come, or did not end, in time.
var errSilent = errors.New("no answer in time")

// Error says what the rack said. The request is named only where the rack said
// nothing, since its words are written for people and the path is not.
func (e *Error) Error() string {
	switch {
	case e.Err != nil:
		return fmt.Sprintf("%s %s: %v", e.Method, e.Path, e.Err)
	case e.Message != "":
		return e.Message
	}
	return fmt.Sprintf("%s %s: response status %d", e.Method, e.Path, e.Status)
}

// Unwrap gives the cause where there was no answer.
func (e *Error) Unwrap() error { return e.Err }

// Is lets callers ask about the kind of an error, not about its number. v3
// racks answer 500 for a missing build or release, with a text of their own.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return e.Status == http.StatusNotFound || e.Status == http.StatusInternalServerError && missingV3.MatchString(e.Message)
	case ErrUnauthorized:
		return e.Status == http.StatusUnauthorized
	case ErrForbidden:
		return e.Status == http.StatusForbidden
	case ErrUnavailable:
		return e.Status < http.StatusBadRequest || isGateway(e.Status)
	case ErrConflict:
		return e.Status == http.StatusConflict
	case ErrUnsupported: // a v2 rack has an empty 404 for a path it does not know; a missing record has a text
		return e.Status == http.StatusMethodNotAllowed || e.Status == http.StatusNotFound && e.Message == ""
	}
	return false
}

// isGone tells whether an error says that what was to be ended is not there. v2
// racks say so of a process with the status 500.
func isGone(err error) bool {
	var e *Error
	return errors.Is(err, ErrNotFound) || errors.As(err, &e) && e.Message == "could not find process"
}

// isGateway tells whether a status comes from something in front of the rack.
func isGateway(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}
