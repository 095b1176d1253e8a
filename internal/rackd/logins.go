package rackd

import (
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

const (
	// maxFailed is how often an address may fail to log in before it has to wait:
	// more than a person mistypes, and than a job that has an old password in its
	// settings tries within the time.
	maxFailed = 10

	// lockout is how long it has to wait, and after which failures are forgotten.
	// With it a password of 6 letters takes years.
	lockout = time.Minute

	// maxWatched is how many addresses are remembered, some hundred bytes each.
	maxWatched = 10_000
)

// lockedOut is the error for an address that failed too often.
type lockedOut struct{ wait time.Duration }

func (e *lockedOut) Error() string {
	return fmt.Sprintf("too many failed logins from this address: try again in %d seconds", e.seconds())
}

// Unwrap gives the status.
func (e *lockedOut) Unwrap() error { return fault(http.StatusTooManyRequests, "too many requests") }

func (e *lockedOut) seconds() int { return int((e.wait + time.Second - 1) / time.Second) }

// logins counts the logins that failed, by address.
type logins struct {
	mu sync.Mutex
	of map[netip.Prefix]failures
}

type failures struct {
	n     int
	until time.Time // when they are forgotten
}

func newLogins() *logins { return &logins{of: map[netip.Prefix]failures{}} }

// watchedAs is what an address is remembered by: of IPv6 the half that one
// customer has to choose from. What is no address counts as one.
func watchedAs(remote string) netip.Prefix {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	ip, bits := at.Addr().Unmap().WithZone(""), 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) // fails for lengths that an address does not have
	return p
}

// wait tells for how long an address may not try; 0 if it may.
func (l *logins) wait(from netip.Prefix, at time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.of[from]
	if f.n < maxFailed {
		return 0
	}
	return max(0, f.until.Sub(at))
}

// failed counts one more.
func (l *logins) failed(from netip.Prefix, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f, known := l.of[from]
	if !f.until.After(at) {
		f.n = 0
	}
	if !known {
		l.makeRoom(at)
	}
	l.of[from] = failures{f.n + 1, at.Add(lockout)}
}

// makeRoom forgets what is over, and any where nothing is.
func (l *logins) makeRoom(at time.Time) {
	if len(l.of) < maxWatched {
		return
	}
	for p, f := range l.of {
		if !f.until.After(at) {
			delete(l.of, p)
		}
	}
	for p := range l.of {
		if len(l.of) < maxWatched {
			return
		}
		delete(l.of, p)
	}
}
