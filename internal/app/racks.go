package app

import (
	"context"
	"errors"
	"net"
	"net/http"
	"syscall"
	"time"
)

const (
	headerTimeout = 30 * time.Second // for a client to send the head of a request
	closeTimeout  = time.Second      // for answers under way when the rack ends; a connection that nothing was asked on counts as such
)

// rackOptions say which embedded rack to start.
type rackOptions struct {
	name, password string
	listen         string // address of the API
	registry       string // address of the registry; "" is the default one, or any if that is taken
	data           string // directory of everything it keeps
	owner          string // who it is, for those who want the data as well
	notice         func(line string)
}

// inUseError says that another process has the data of the rack.
type inUseError struct{ error }

func (e *inUseError) Unwrap() error { return e.error }

// runningRack is an embedded rack that serves.
type runningRack struct {
	address, registry string // of the two listeners
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
	s := &http.Server{Handler: h, ReadHeaderTimeout: headerTimeout}
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
	return l.Addr().String(), nil
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
