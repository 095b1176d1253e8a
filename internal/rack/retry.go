package rack

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"time"
)

const (
	maxTries   = 5                      // at least; of an address that never answered, which may be wrong, about 8 seconds
	patience   = 2 * time.Minute        // with one that has answered: longer than a rack takes to be replaced by its next version
	firstDelay = 500 * time.Millisecond // before the second try; doubled for each further one
	maxDelay   = 15 * time.Second       // so that a rack that comes back is not waited for long
	// maxRetryAfter bounds how long we wait because we were told to.
	maxRetryAfter = time.Minute
)

// verdicts is what may be tried again after an answer. Requests that are not
// repeatable are only tried again where the rack said that it did nothing.
var verdicts = []struct {
	status     int
	repeatable bool // only then
}{
	{http.StatusTooManyRequests, false},
	{http.StatusServiceUnavailable, true}, // also what a balancer says after the rack has begun
	{http.StatusBadGateway, true},
	{http.StatusGatewayTimeout, true},
	{0, true}, // no answer at all: it may have been done
}

// retry runs try again while its error allows it for this call. What is not an
// [*Error], a full disk while packing or a cancelled context, is final.
func (c *Client) retry(ctx context.Context, k call, try func() error) error {
	delay, begun := firstDelay, time.Now()
	for n := 1; ; n++ {
		err := try()
		var e *Error
		if err == nil || !errors.As(err, &e) || !again(e, k.repeatable) || c.hasEnough(n, begun) {
			return err
		}
		wait := max(delay/2+rand.N(delay), e.after) // spread, so that the jobs of one workflow do not return together
		c.notice(fmt.Sprintf("%s %s: %v; trying again in %s", k.method, k.path, cause(e), wait.Round(100*time.Millisecond)))
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		delay = min(2*delay, maxDelay)
	}
}

// hasEnough tells whether there were enough tries of one call.
func (c *Client) hasEnough(n int, begun time.Time) bool {
	return n >= maxTries && (!c.reached.Load() || time.Since(begun) >= patience)
}

func cause(e *Error) string {
	if e.Err != nil {
		return e.Err.Error()
	}
	return fmt.Sprintf("status %d", e.Status)
}

func again(e *Error, repeatable bool) bool {
	if e.Status == 0 && permanent(e.Err) {
		return false
	}
	if e.Status == 0 && neverSent(e.Err) {
		return true
	}
	for _, v := range verdicts {
		if v.status == e.Status {
			return repeatable || !v.repeatable
		}
	}
	return false
}

// permanent tells the faults that no second try mends: a certificate that is
// not trusted, a server that does not speak TLS, a name that does not exist.
func permanent(err error) bool {
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var dns *net.DNSError
	return errors.As(err, &cert) || errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch) ||
		errors.As(err, &dns) && dns.IsNotFound
}

// neverSent tells whether the connection, to the rack or to a proxy, was never
// made, so that even a request that must not be done twice can be sent again.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect")
}

// sleep waits, or returns the cause of the context's end.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
