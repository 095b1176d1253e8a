package rack

import (
	"errors"
	"net/http"
	"time"
)

const (
	maxOutage  = 5 * time.Minute  // without one look that worked: longer than a rack is away while it is itself updated
	appearTime = 10 * time.Second // until a record just made is in every answer: a rack's store may be behind by a moment
)

// polls judges the faults of looking at one thing again and again. One that
// may pass is no reason to stop: what is looked at goes on without us.
type polls struct {
	worked time.Time // the last look that worked, at first the begin
	found  bool
}

func newPolls() *polls { return &polls{worked: time.Now()} }

// hopeless takes the error of a look, nil if it worked, and tells whether to
// stop looking because of it.
func (p *polls) hopeless(err error) bool {
	if err == nil {
		p.worked, p.found = time.Now(), true
		return false
	}
	var e *Error
	switch away := time.Since(p.worked); {
	case errors.Is(err, ErrNotFound):
		return p.found || away >= appearTime
	case errors.Is(err, ErrUnavailable), errors.As(err, &e) && e.Status >= http.StatusInternalServerError:
		return away >= maxOutage // v2 racks pass on with 500 what their cloud refuses for a moment
	}
	return true
}
