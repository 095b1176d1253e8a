package workflow

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// DeliveryError says that an image did not get into the repository that a rack has
// named. By its kind it is an error of the rack, whose registry that is:
// [rack.ErrUnauthorized], [rack.ErrUnavailable] or neither.
type DeliveryError struct {
	Host   string // of the registry
	Status int    // of its answer; 0 for none
	Err    error
}

func (e *DeliveryError) Error() string {
	text, _, _ := strings.Cut(e.Err.Error(), "<") // a page is for people, in a browser
	text = strings.TrimRight(strings.Join(strings.Fields(text), " "), ": ")
	switch e.Status {
	case 0:
		return "the registry of the rack: " + text
	case http.StatusUnauthorized:
		return "the registry " + e.Host + " does not accept the credentials that the rack has named for it: " + text
	case http.StatusNotFound:
		return "the registry " + e.Host + " has no such repository, or is none: " + text
	case http.StatusRequestEntityTooLarge:
		return "something before the registry " + e.Host + " has a limit that a layer is over: " + text
	}
	return "the registry " + e.Host + " has not taken the image: " + text
}

// Unwrap gives what happened.
func (e *DeliveryError) Unwrap() error { return e.Err }

// Is tells the kind.
func (e *DeliveryError) Is(target error) bool {
	switch target {
	case rack.ErrUnauthorized:
		return e.Status == http.StatusUnauthorized
	case rack.ErrUnavailable:
		return e.passes() && e.Status != http.StatusInternalServerError
	}
	return false
}

// passes tells whether it may be otherwise in a moment.
func (e *DeliveryError) passes() bool {
	switch e.Status {
	case 0, http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

const (
	pushPatience = 2 * time.Minute  // as with the rack itself: its registry is replaced with it
	pushDelay    = time.Second      // before the second try; doubled for each further one
	maxPushDelay = 15 * time.Second // so that one that comes back is not waited for long
)

// patient pushes again where that may help. What has arrived is not sent twice.
type patient struct {
	bake.Registry
	notice func(format string, args ...any)
}

// Push implements [bake.Registry].
func (p patient) Push(ctx context.Context, layout, ref string) (string, error) {
	for begun, delay := time.Now(), pushDelay; ; delay = min(2*delay, maxPushDelay) {
		digest, err := p.Registry.Push(ctx, layout, ref)
		fault, ok := errors.AsType[*DeliveryError](err)
		if err == nil || !ok || !fault.passes() || time.Since(begun) >= pushPatience {
			return digest, err
		}
		p.notice("push %s: %v; trying again in %s", ref, fault, delay)
		t := time.NewTimer(delay)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return "", context.Cause(ctx)
		}
	}
}

// Note implements [bake.Mounter].
func (p patient) Note(ctx context.Context, ref string) {
	if m, ok := p.Registry.(bake.Mounter); ok {
		m.Note(ctx, ref)
	}
}
