package app

import (
	"context"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"syscall"
	"time"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/container"
	"github.com/convox-ci/convox-ci/internal/image/buildkit/embedded"
	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/rackd/disk"
	"github.com/convox-ci/convox-ci/internal/registry"
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

// runningRack is an embedded rack that serves.
type runningRack struct {
	address, registry string // of the two listeners
	closers           []func() error
}

// startRack puts a rack together. Everything that it keeps is below one
// directory, which only one process can have.
func (p *process) startRack(ctx context.Context, o rackOptions) (r *runningRack, err error) {
	r = &runningRack{}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	store, err := disk.Open(o.data, o.owner)
	var busy *disk.BusyError
	if err != nil && !errors.As(err, &busy) {
		err = inputFault("data", err)
	}
	if err != nil {
		return r, err
	}
	r.closers = append(r.closers, store.Close)
	if err := r.serveRegistry(ctx, o); err != nil {
		return r, err
	}
	mirrors := map[string]string{registry.DefaultAddress: r.registry, r.registry: r.registry}
	state := filepath.Join(o.data, "buildkit")
	if err := embedded.Sweep(state); err != nil {
		p.notice("Build steps of a rack that was killed: " + err.Error())
	}
	engine := &engine{root: state, mirrors: mirrors, variable: p.variable}
	r.closers = append(r.closers, engine.Close)
	run := filepath.Join(o.data, "run")
	if err := container.Sweep(run); err != nil {
		p.notice("Processes of a rack that was killed: " + err.Error())
	}
	images := &registry.Client{Keychain: keychain(r.registry, o.password), Aliases: mirrors}
	server, err := rackd.New(ctx, rackd.Config{
		Name: o.name, Password: o.password, Notice: p.notice, Registry: r.registry, Spool: filepath.Join(o.data, "spool"),
		Stores:     rackd.Stores{Apps: store, Builds: store, Releases: store, Objects: store},
		Baker:      &bake.Baker{Builder: engine, Registry: images},
		Images:     images,
		Containers: container.New(run, images.Image),
	})
	if err != nil {
		return r, err
	}
	r.closers = append(r.closers, func() error { server.Close(); return nil })
	if r.address, err = r.listen(o.listen, server.Handler()); err != nil {
		return r, inputFault("listen", err)
	}
	return r, nil
}

// serveRegistry starts the registry, by default at the address that manifests
// may name; if another process has that, at any.
func (r *runningRack) serveRegistry(ctx context.Context, o rackOptions) (err error) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.closers = append(r.closers, func() error { stop(); return nil })
	handler := registry.Embedded(ctx, filepath.Join(o.data, "registry"), o.password)
	if o.registry != "" {
		if r.registry, err = r.listen(o.registry, handler); err != nil {
			return inputFault("registry-listen", err)
		}
		return nil
	}
	r.registry, err = r.listenOrElsewhere(registry.DefaultAddress, handler)
	if err == nil && r.registry != registry.DefaultAddress {
		o.notice("Registry: " + registry.DefaultAddress + " is taken by another process, listening on " + r.registry)
	}
	return err
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
