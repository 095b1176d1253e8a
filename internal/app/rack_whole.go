//go:build !carrier

package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/carried"
	"github.com/convox-ci/convox-ci/internal/container"
	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/image/buildkit/embedded"
	"github.com/convox-ci/convox-ci/internal/image/entry"
	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/rackd/disk"
	"github.com/convox-ci/convox-ci/internal/registry"
)

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
	switch {
	case errors.As(err, &busy):
		return r, &inUseError{busy}
	case err != nil:
		return r, inputFault("data", err)
	}
	r.closers = append(r.closers, store.Close)
	account, err := p.account()
	if err != nil {
		return r, err
	}
	stores, err := r.openStores(ctx, o.elsewhere.stores, store, account)
	if err != nil {
		return r, err
	}
	cloud := account.ecr()
	shelf, err := r.shelf(ctx, o, cloud)
	if err != nil {
		return r, err
	}
	state, run := filepath.Join(o.data, "buildkit"), filepath.Join(o.data, "run")
	p.sweep(state, run)
	keys := keychain(shelf.own, stores.Registries, cloud)
	engine := &engine{root: state, mirrors: shelf.mirrors, keychain: keys, variable: p.variable, notice: p.notice}
	r.closers = append(r.closers, engine.Close)
	images := &registry.Client{Keychain: keys, Aliases: shelf.mirrors, Transport: shelf.reach(o.private, cloud), Cloud: cloud}
	access, err := r.access(o, store)
	if err != nil {
		return r, err
	}
	server, err := rackd.New(ctx, rackd.Config{
		Name: o.name, Password: o.password, Notice: p.notice, Registry: r.registry, Spool: filepath.Join(o.data, "spool"),
		Stores:     stores,
		Baker:      &bake.Baker{Builder: engine, Registry: images, Wrapper: &entry.Wrapper{Programs: convoxEnv}},
		Images:     images,
		Containers: container.New(run, images.Image), Access: access, Cache: shelf.cache, Limits: o.limits.ofRack(),
	})
	if err != nil {
		return r, err
	}
	r.closers = append(r.closers, func() error { server.Close(); return nil })
	if o.keepBuilds > 0 {
		server.Retain(rackd.Retention{Builds: o.keepBuilds, Images: shelf.stock})
	}
	return r, r.open(o, server.Handler())
}

// sweep ends what a rack that was killed has left running.
func (p *process) sweep(builder, processes string) {
	if err := embedded.Sweep(builder); err != nil {
		p.notice("Build steps of a rack that was killed: " + err.Error())
	}
	if err := container.Sweep(processes); err != nil {
		p.notice("Processes of a rack that was killed: " + err.Error())
	}
}

// ofRack are the limits in the words of the rack.
func (in BuildLimits) ofRack() rackd.Limits {
	return rackd.Limits{AtOnce: in.Builds, Time: in.Timeout, Build: image.Limits{CPU: in.CPU, Memory: in.Memory}}
}

// convoxEnv is the program that is put into images.
func convoxEnv(architecture string) ([]byte, error) {
	program, err := carried.ConvoxEnv(architecture)
	if errors.Is(err, carried.ErrNone) {
		return nil, fmt.Errorf("%w: %w", image.ErrNoProgram, err)
	}
	return program, err
}

// open serves the API of a rack, by TLS if it is to be so.
func (r *runningRack) open(o rackOptions, api http.Handler) (err error) {
	if r.certificate, err = o.tls.certificate(o.data, o.listen); err != nil {
		return err
	}
	if r.address, err = r.listenSafely(o.listen, api); err != nil {
		return inputFault("listen", err)
	}
	return nil
}

// serveRegistry starts the registry, by default at the address that manifests
// may name; if another process has that, at any.
func (r *runningRack) serveRegistry(ctx context.Context, o rackOptions) (stock *registry.Storage, err error) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.closers = append(r.closers, func() error { stop(); return nil })
	stock = registry.Embedded(ctx, filepath.Join(o.data, "registry"), o.password)
	if o.registry != "" {
		if r.registry, err = r.listen(o.registry, rackd.Steady(stock)); err != nil {
			return nil, inputFault("registry-listen", err)
		}
		return stock, nil
	}
	r.registry, err = r.listenOrElsewhere(registry.DefaultAddress, rackd.Steady(stock))
	if err == nil && r.registry != registry.DefaultAddress {
		o.notice("Registry: " + registry.DefaultAddress + " is taken by another process, listening on " + r.registry)
	}
	return stock, err
}

// access lets a rack give tokens, and keeps a record of what is changed.
func (r *runningRack) access(o rackOptions, store *disk.Store) (a rackd.Access, err error) {
	if a.Tokens, err = store.Secret("tokens"); err != nil {
		return a, err
	}
	audit, err := openAudit(filepath.Join(o.data, "audit.log"), o.notice)
	if err != nil {
		return a, inputFault("data", err)
	}
	r.closers = append(r.closers, audit.close)
	a.Audit = audit.note
	return a, nil
}
