package rack

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"
)

// Trouble is what keeps a client from a rack or an app, as far as the answers
// tell.
type Trouble string

// The kinds of trouble.
const (
	TroubleKey         Trouble = "key"         // the key or password is not accepted
	TroubleRight       Trouble = "right"       // the key is accepted and may not do this
	TroubleRack        Trouble = "rack"        // the console accepts the key and has no such rack
	TroubleTarget      Trouble = "target"      // the rack's name or the key is wrong; the answers do not tell which
	TroubleApp         Trouble = "app"         // the rack has no such app
	TroubleHost        Trouble = "host"        // the host's name is not known
	TroubleCertificate Trouble = "certificate" // not trusted, or another host's
	TroubleClock       Trouble = "clock"       // the certificate is not valid by this machine's clock
	TroubleDown        Trouble = "down"        // not reached, or something in front of it answered
)

// AccessError is the error of [Client.Preflight].
type AccessError struct {
	Trouble Trouble
	Racks   []string // with TroubleRack the names of those that the key is for, as ORGANIZATION/RACK
	Err     error    // what was answered, or why there was no answer
}

func (e *AccessError) Error() string { return e.Err.Error() }

// Unwrap gives the answer.
func (e *AccessError) Unwrap() error { return e.Err }

// lacksRight is in how racks refuse a key that they know. They do so with the
// status of one that they do not know.
const lacksRight = "unauthorized to access"

// troubleOf finds the trouble in an error of a call; "" if it is none of a target:
// a context that ended, or an answer that says nothing about access.
func troubleOf(err error) Trouble {
	var (
		e       *Error
		invalid x509.CertificateInvalidError
		cert    *tls.CertificateVerificationError
		dns     *net.DNSError
	)
	switch {
	case !errors.As(err, &e):
		return ""
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return TroubleClock
	case errors.As(err, &cert):
		return TroubleCertificate
	case errors.As(err, &dns) && dns.IsNotFound:
		return TroubleHost
	case errors.Is(err, ErrForbidden), e.Status == http.StatusUnauthorized && strings.Contains(e.Message, lacksRight):
		return TroubleRight
	case errors.Is(err, ErrUnauthorized):
		return TroubleKey
	case errors.Is(err, ErrUnavailable), e.Status >= http.StatusInternalServerError:
		return TroubleDown
	}
	return ""
}

// MaxSkew is how far a clock may be off before it is worth a word: signed tokens
// and certificates are judged by it, and Amazon refuses requests that are signed
// more than five minutes off.
const MaxSkew = 5 * time.Minute

// dated is a transport that looks at the clock of the other side.
type dated struct {
	http.RoundTripper
	skew time.Duration // by which our clock is ahead of the last answer's, 0 if it did not say
}

func (d *dated) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := d.RoundTripper.RoundTrip(r)
	if err != nil {
		return res, err
	}
	if at, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		d.skew = time.Since(at).Truncate(time.Second) // as exact as the header
	}
	return res, nil
}
