package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/convox-ci/convox-ci/internal/options"
)

// ServeInputs are the inputs of rack serve.
type ServeInputs struct {
	Listen   string         `env:"listen" envDefault:"127.0.0.1:5080" usage:"address of the API"`
	Registry string         `env:"registry-listen" usage:"address of the registry (default: 127.0.0.1:5017, or any free port if that is taken)"`
	Data     options.Path   `env:"data" usage:"directory of everything the rack keeps (default: below the user's state directory)"`
	Password options.Secret `env:"password" usage:"password that clients must give"`
	Name     string         `env:"name" envDefault:"local" usage:"name of the rack"`
}

// Check refuses to open a rack or its registry without a password to a network:
// whoever can reach them can run programs as the user who started the rack, or
// replace the images of its apps.
func (in *ServeInputs) Check(func(string) (string, bool)) error {
	found := &options.Error{}
	for _, a := range []struct{ input, address, example string }{
		{"listen", in.Listen, "127.0.0.1:5080"}, {"registry-listen", in.Registry, "127.0.0.1:5017"},
	} {
		if a.address == "" {
			continue // the default, a loopback address
		}
		host, _, err := net.SplitHostPort(a.address)
		ip := net.ParseIP(host)
		switch {
		case err != nil:
			found.Problems = append(found.Problems, options.Problem{Input: a.input, Value: a.address,
				Message: "is not an address", Accepted: []string{a.example, "HOST:PORT"}})
		case in.Password == "" && host != "localhost" && (ip == nil || !ip.IsLoopback()):
			found.Problems = append(found.Problems, options.Problem{Input: "password",
				Message: "is required to listen on " + a.address, Accepted: []string{"a password; or a loopback address for " + a.input}})
		}
	}
	if len(found.Problems) == 0 {
		return nil
	}
	return found
}

// serve is a rack until ctx ends.
func (p *process) serve(ctx context.Context, in ServeInputs) error {
	data, err := p.dataDir(string(in.Data))
	if err != nil {
		return err
	}
	r, err := p.startRack(ctx, rackOptions{
		name: in.Name, listen: in.Listen, registry: in.Registry, data: data, password: in.Password.Reveal(), notice: p.notice,
		owner: fmt.Sprintf("process %d (convox-ci rack serve, %s)", os.Getpid(), in.Listen),
	})
	if err != nil {
		return err
	}
	user := ""
	if in.Password != "" {
		user = "convox:PASSWORD@"
	}
	fmt.Fprintf(p.console, "Data:     %s\nRegistry: %s\nRack:     RACK_URL=http://%s%s\nReady\n", data, r.registry, user, r.address)
	<-ctx.Done()
	fmt.Fprintln(p.console, "Stopping")
	err = r.close()
	var signal Signal
	if errors.As(context.Cause(ctx), &signal) { // the way to end a server is no fault
		return err
	}
	return errors.Join(context.Cause(ctx), err)
}
