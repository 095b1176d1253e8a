// Package registry pushes, pulls and looks up images in OCI registries, and can
// be a registry itself.
package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Client moves images between registries and OCI image layouts on disk.
type Client struct {
	// Keychain has the credentials of registries; what it does not know is
	// asked without any.
	Keychain authn.Keychain
	// Aliases maps a registry's host, as images name it, to the one that is
	// really asked.
	Aliases map[string]string
}

// platform is what images are pulled for: the machine's own, on Linux.
func platform() v1.Platform { return v1.Platform{OS: "linux", Architecture: runtime.GOARCH} }

// Pull writes the image that ref names to a new layout. Of an image for several
// platforms it takes that of this machine.
func (c *Client) Pull(ctx context.Context, ref, dir string) error {
	r, err := c.parse(ref)
	if err != nil {
		return err
	}
	img, err := remote.Image(r, append(c.options(ctx), remote.WithPlatform(platform()))...)
	if err != nil {
		return plain(err)
	}
	p, err := layout.FromPath(dir)
	if err != nil {
		if p, err = newLayout(dir); err != nil {
			return err
		}
	}
	return plain(p.AppendImage(img))
}

// Push copies the only image of a layout to ref and returns its digest. Layers
// that the registry has are not sent.
func (c *Client) Push(ctx context.Context, dir, ref string) (string, error) {
	img, err := only(dir)
	if err != nil {
		return "", err
	}
	r, err := c.parse(ref)
	if err != nil {
		return "", err
	}
	digest, err := img.Digest()
	if err != nil {
		return "", err
	}
	return digest.String(), plain(remote.Write(r, img, c.options(ctx)...))
}

// only opens the image of a layout that holds one.
func only(dir string) (v1.Image, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, err
	}
	m, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	if len(m.Manifests) != 1 {
		return nil, fmt.Errorf("image layout holds %d images, not one", len(m.Manifests))
	}
	return index.Image(m.Manifests[0].Digest)
}

// parse reads a reference and puts the real host in place of an alias. Names
// without a host mean Docker Hub, as everywhere.
func (c *Client) parse(ref string) (name.Reference, error) {
	r, err := name.ParseReference(ref)
	if err != nil {
		return nil, fmt.Errorf("%q is not the reference of an image", ref)
	}
	real, ok := c.Aliases[r.Context().RegistryStr()]
	if !ok {
		return r, nil
	}
	repo := real + "/" + r.Context().RepositoryStr()
	if d, ok := r.(name.Digest); ok {
		return name.NewDigest(repo + "@" + d.DigestStr())
	}
	return name.NewTag(repo + ":" + r.Identifier())
}

func (c *Client) options(ctx context.Context) []remote.Option {
	keychain := c.Keychain
	if keychain == nil {
		keychain = authn.NewMultiKeychain()
	}
	return []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(keychain)}
}

// plain says in a few words what a registry answered.
func plain(err error) error {
	var e *transport.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.StatusCode {
	case http.StatusNotFound:
		return fmt.Errorf("not found: %w", e)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("access denied: %w", e)
	}
	return e
}
