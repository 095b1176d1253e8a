package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/convox-ci/convox-ci/internal/options"
)

// ServeInputs are the inputs of rack serve.
type ServeInputs struct {
	Listen   string         `env:"listen" envDefault:"127.0.0.1:5080" usage:"address of the API"`
	Registry string         `env:"registry-listen" usage:"address of the registry (default: 127.0.0.1:5017, or any free port if that is taken)"`
	Images   string         `env:"registry" usage:"registry on Amazon ECR to keep images in: ecr://ACCOUNT.dkr.ecr.REGION.amazonaws.com/PATH, or ecr:///PATH for that of the AWS credentials; repositories are below PATH (default: the name of the rack)"`
	Data     options.Path   `env:"data" usage:"directory of everything the rack keeps (default: below the user's state directory)"`
	Password options.Secret `env:"password" usage:"password that clients must give"`
	StoreInputs
	Keep int          `env:"keep-builds" usage:"how many builds of each app are kept, with their releases, logs and images, besides those in use (default: all)"`
	TLS  bool         `env:"tls-self-signed" envDefault:"false" usage:"serve the API over TLS, with a certificate that is made once and kept in the data"`
	Cert options.Path `env:"tls-cert" usage:"PEM file of the certificate to serve the API over TLS with"`
	Key  options.Path `env:"tls-key" usage:"PEM file of that certificate's private key"`
	BuildLimits
	Private string `env:"private-registries" accept:"allow,refuse" usage:"whether the images of manifests may be pulled from private addresses (default: allow if the API listens on loopback, else refuse)"`
}

// ecrScheme begins the name of a registry on ECR.
const ecrScheme = "ecr://"

// Check refuses to open a rack or its registry without a password to a network:
// whoever can reach them can run programs as the user who started the rack, or
// replace the images of its apps.
func (in *ServeInputs) Check(func(string) (string, bool)) error {
	found := &options.Error{Problems: slices.Concat(in.wrongTLS(), in.wrongLimits(), in.wrongRegistry(), in.wrongStores())}
	for _, a := range []struct{ input, address, example string }{
		{"listen", in.Listen, "127.0.0.1:5080"}, {"registry-listen", in.Registry, "127.0.0.1:5017"},
	} {
		if a.address == "" {
			continue // the default, a loopback address
		}
		_, _, err := net.SplitHostPort(a.address)
		switch {
		case err != nil:
			found.Problems = append(found.Problems, options.Problem{Input: a.input, Value: a.address,
				Message: "is not an address", Accepted: []string{a.example, "HOST:PORT"}})
		case in.Password == "" && !onLoopback(a.address):
			found.Problems = append(found.Problems, options.Problem{Input: "password",
				Message: "is required to listen on " + a.address, Accepted: []string{"a password; or a loopback address for " + a.input}})
		}
	}
	if len(found.Problems) == 0 {
		return nil
	}
	return found
}

// onLoopback tells whether only this machine can reach an address.
func onLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// wrongRegistry finds what is wrong with the inputs about the registry.
func (in *ServeInputs) wrongRegistry() (found []options.Problem) {
	if in.Images != "" && !strings.HasPrefix(in.Images, ecrScheme) {
		found = append(found, options.Problem{Input: "registry", Value: in.Images, Message: "is not a registry on ECR",
			Accepted: []string{ecrScheme, ecrScheme + "ACCOUNT.dkr.ecr.REGION.amazonaws.com"}})
	}
	if in.Images != "" && in.Registry != "" {
		found = append(found, options.Problem{Input: "registry-listen", Message: "makes no sense with registry: choose one"})
	}
	return found
}

// wrongTLS finds what is wrong with the inputs about TLS.
func (in *ServeInputs) wrongTLS() (found []options.Problem) {
	if (in.Cert == "") != (in.Key == "") {
		missing := map[bool]string{true: "tls-cert", false: "tls-key"}[in.Cert == ""]
		found = append(found, options.Problem{Input: missing, Message: "is required: a certificate and its key belong together"})
	}
	if in.TLS && in.Cert != "" {
		found = append(found, options.Problem{Input: "tls-self-signed", Message: "makes no sense with tls-cert: choose one"})
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
		name: in.Name, listen: in.Listen, registry: in.Registry, elsewhere: elsewhere{in.Images, in.StoreInputs}, data: data, password: in.Password.Reveal(), notice: p.notice,
		tls:        tlsOptions{selfSigned: in.TLS, cert: string(in.Cert), key: string(in.Key)},
		keepBuilds: in.Keep,
		limits:     in.BuildLimits,
		private:    in.Private == "allow" || in.Private == "" && onLoopback(in.Listen),
		owner:      fmt.Sprintf("process %d (convox-ci rack serve, %s)", os.Getpid(), in.Listen),
	})
	if err != nil {
		return err
	}
	user := ""
	if in.Password != "" {
		user = "convox:PASSWORD@"
	}
	scheme := "http"
	if r.certificate != nil {
		scheme = "https"
		fmt.Fprintf(p.console, "TLS:      SHA-256 %s\n", fingerprint(r.certificate))
	}
	if in.TLS {
		fmt.Fprintf(p.console, "          ca-file of clients: %s\n", filepath.Join(data, certificateFile))
	}
	fmt.Fprintf(p.console, "Data:     %s\n", data)
	for _, place := range r.stores {
		fmt.Fprintln(p.console, place)
	}
	fmt.Fprintf(p.console, "Registry: %s\nRack:     RACK_URL=%s://%s%s\nReady\n", r.registry, scheme, user, r.address)
	<-ctx.Done()
	fmt.Fprintln(p.console, "Stopping")
	err = r.close()
	var signal Signal
	if errors.As(context.Cause(ctx), &signal) { // the way to end a server is no fault
		return err
	}
	return errors.Join(context.Cause(ctx), err)
}
