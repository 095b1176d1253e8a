package app

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"syscall"
	"time"
)

const (
	headerTimeout = 30 * time.Second // for a client to send the head of a request
	idleTimeout   = 2 * time.Minute  // between requests on a connection, as v3 racks have it
	maxHeader     = 256 << 10        // bytes of the head of a request: a command with its environment stands in it
	closeTimeout  = time.Second      // for answers under way when the rack ends; a connection that nothing was asked on counts as such
)

// rackOptions say which embedded rack to start.
type rackOptions struct {
	name, password string
	listen         string // address of the API
	registry       string // address of the registry; "" is the default one, or any if that is taken
	elsewhere      elsewhere
	data           string // directory of everything it keeps
	owner          string // who it is, for those who want the data as well
	tls            tlsOptions
	private        bool // images may be taken from private addresses
	keepBuilds     int  // of each app; 0 keeps all
	limits         BuildLimits
	notice         func(line string)
}

// elsewhere is what a rack does not keep in its data, by the inputs that say so; ""
// is what it does.
type elsewhere struct {
	images string
	stores StoreInputs
}

// inUseError says that another process has the data of the rack.
type inUseError struct{ error }

func (e *inUseError) Unwrap() error { return e.error }

// runningRack is an embedded rack that serves.
type runningRack struct {
	address, registry string           // of the API, and what the names of images begin with
	certificate       *tls.Certificate // that the API is served with; nil for none
	stores            []string         // that are not in the data, in words
	closers           []func() error
}

// listenOrElsewhere is listen at any free port of loopback if the address is
// taken.
func (r *runningRack) listenOrElsewhere(address string, h http.Handler) (string, error) {
	got, err := r.listen(address, h)
	if errors.Is(err, syscall.EADDRINUSE) {
		return r.listen("127.0.0.1:0", h)
	}
	return got, err
}

// listen serves a handler and returns the address it really got.
func (r *runningRack) listen(address string, h http.Handler) (string, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", err
	}
	r.serve(l, h)
	return l.Addr().String(), nil
}

// listenSafely is listen with the certificate of the rack, if it has one.
func (r *runningRack) listenSafely(address string, h http.Handler) (string, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", err
	}
	at := l.Addr().String()
	if r.certificate != nil {
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{*r.certificate}, MinVersion: tls.VersionTLS12})
	}
	r.serve(l, h)
	return at, nil
}

// hardened is a server that no client holds up for free. How long a body or an
// answer may take is for its handler to say: both can be as large as a source.
func hardened(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader}
}

// serve serves a handler until the rack ends.
func (r *runningRack) serve(l net.Listener, h http.Handler) {
	s := hardened(h)
	served := make(chan struct{})
	go func() {
		defer close(served)
		s.Serve(l) // ends with the Shutdown below
	}()
	r.closers = append(r.closers, func() error {
		ctx, done := context.WithTimeout(context.Background(), closeTimeout)
		defer done()
		err := s.Shutdown(ctx)
		if err != nil {
			err = s.Close() // whoever still talks is cut off
		}
		<-served
		return err
	})
}

// close ends everything in the reverse order of its start.
func (r *runningRack) close() error {
	var errs []error
	for len(r.closers) > 0 {
		last := len(r.closers) - 1
		errs = append(errs, r.closers[last]())
		r.closers = r.closers[:last]
	}
	return errors.Join(errs...)
}
