package registry

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Host is the host, with its port, of a registry as people name it: with a scheme
// and a path or without. Docker Hub has one host by all of its names.
func Host(server string) string {
	if _, rest, ok := strings.Cut(server, "://"); ok {
		server = rest
	}
	host, _, _ := strings.Cut(server, "/")
	switch host {
	case "docker.io", "registry-1.docker.io", "hub.docker.com":
		return name.DefaultRegistry
	}
	return host
}

// Login finds out whether a registry takes a user name and a password. Where it
// does not, the error is [ErrDenied]. A registry that asks nobody takes all.
func (c *Client) Login(ctx context.Context, server, username, password string) error {
	host := Host(server)
	if c.Cloud != nil {
		if known, err := c.Cloud.Login(ctx, host, username, password); known {
			return c.plain(ctx, err)
		}
	}
	if other, ok := c.Aliases[host]; ok {
		host = other
	}
	var insecure []name.Option
	if strings.HasPrefix(server, "http://") {
		insecure = append(insecure, name.Insecure)
	}
	r, err := name.NewRegistry(host, insecure...)
	if err != nil {
		return fmt.Errorf("%q is not the host of a registry", host)
	}
	auth := &authn.Basic{Username: username, Password: password}
	t, err := transport.NewWithContext(ctx, r, auth, remote.DefaultTransport, nil) // where the registry gives tokens, this asks for one
	if err != nil {
		return c.plain(ctx, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.Scheme()+"://"+r.RegistryStr()+"/v2/", nil)
	if err != nil {
		return err
	}
	answer, err := (&http.Client{Transport: t}).Do(req)
	if err != nil {
		return c.plain(ctx, err)
	}
	defer answer.Body.Close()
	return c.plain(ctx, transport.CheckError(answer, http.StatusOK))
}
