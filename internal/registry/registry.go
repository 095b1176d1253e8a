// Package registry pushes, pulls and looks up images in OCI registries, and can
// be a registry itself.
package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Kinds of faults; errors.Is finds them in what a [Client] returns.
var (
	ErrNotFound = errors.New("not found")     // the registry has no such image
	ErrDenied   = errors.New("access denied") // credentials are missing or not enough
)

// Client moves images between registries and OCI image layouts on disk.
type Client struct {
	// Keychain has the credentials of registries; what it does not know is
	// asked without any.
	Keychain authn.Keychain
	// Aliases maps a registry's host, as images name it, to the one that is
	// really asked. Docker Hub's is index.docker.io, also of names without a host.
	Aliases map[string]string
	// Transport is the way to registries; nil is that of the registry's library.
	Transport http.RoundTripper
	// Cloud has registries with rules of their own; nil for none.
	Cloud Cloud
	// Sources remembers where layers were pulled from, so that a push to another
	// repository of the same registry does not send them; nil remembers nothing.
	Sources *Sources
}

// Cloud is a service whose registries want more than the protocol of registries
// says.
type Cloud interface {
	// Login tries credentials of a registry, if that is one of the service.
	Login(ctx context.Context, host, username, password string) (known bool, err error)
	// Prepare makes a repository that is to be pushed to, if that is needed.
	Prepare(ctx context.Context, repository name.Repository) error
	// Explain says in the words of the service what an error of one of its
	// registries means; nil if it has none.
	Explain(err error) error
}

// platform is what images are pulled for: the machine's own, on Linux.
func platform() v1.Platform { return v1.Platform{OS: "linux", Architecture: runtime.GOARCH} }

// Pull writes the image that ref names to a new layout at dir. Of an image for
// several platforms it takes that of this machine.
func (c *Client) Pull(ctx context.Context, ref, dir string) error {
	img, err := c.Image(ctx, ref)
	if err != nil {
		return err
	}
	p, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	return c.plain(ctx, p.AppendImage(img))
}

// Image finds the image that ref names, under the terms of Pull. Its layers are
// fetched when they are read, and only while ctx lasts.
func (c *Client) Image(ctx context.Context, ref string) (v1.Image, error) {
	r, err := c.parse(ref)
	if err != nil {
		return nil, err
	}
	img, err := remote.Image(r, append(c.options(ctx), remote.WithPlatform(platform()))...)
	if err == nil && c.Sources != nil {
		err = c.Sources.note(r.Context(), img)
	}
	return img, c.plain(ctx, err)
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
	if err := c.write(ctx, r, img); err != nil {
		return "", err
	}
	digest, err := img.Digest()
	return digest.String(), err
}

// write pushes an image to where it may be pushed to.
func (c *Client) write(ctx context.Context, to name.Reference, img v1.Image) error {
	if c.Cloud != nil {
		if err := c.Cloud.Prepare(ctx, to.Context()); err != nil {
			return c.plain(ctx, err)
		}
	}
	if c.Sources != nil {
		if mounting := c.Sources.mounting(to.Context(), img); mounting != nil {
			err := remote.Write(to, mounting, c.options(ctx)...)
			if err == nil || context.Cause(ctx) != nil {
				return c.plain(ctx, err)
			}
		} // who may not take layers from there can still send them
	}
	err := remote.Write(to, img, c.options(ctx)...)
	if c.isThere(ctx, err, to, img) {
		return nil
	}
	return c.plain(ctx, err)
}

// isThere tells of a push that was refused whether the tag has the image already: where
// tags cannot be moved that is refused too, as when the answer to a push was lost and
// it was made again.
func (c *Client) isThere(ctx context.Context, refused error, to name.Reference, img v1.Image) bool {
	answer, ok := errors.AsType[*transport.Error](refused)
	if !ok || len(answer.Errors) == 0 || answer.Errors[0].Code != transport.TagInvalidErrorCode {
		return false
	}
	there, err := remote.Head(to, c.options(ctx)...)
	if err != nil {
		return false
	}
	digest, err := img.Digest()
	return err == nil && there.Digest == digest
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
	host, ok := c.Aliases[r.Context().RegistryStr()]
	if !ok {
		return r, nil
	}
	repo := host + "/" + r.Context().RepositoryStr()
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
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(keychain)}
	if c.Transport != nil {
		options = append(options, remote.WithTransport(c.Transport))
	}
	return options
}

// maxAnswer is how much of a registry's answer an error repeats, in bytes: some
// send a page of HTML.
const maxAnswer = 1 << 10

// plain says in a few words what went wrong with a registry: what it answered,
// or that it could not be asked. Addresses are left out where they could be
// signed ones.
func (c *Client) plain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if c.Cloud != nil {
		if told := c.Cloud.Explain(err); told != nil {
			return told
		}
	}
	if e, ok := errors.AsType[*transport.Error](err); ok {
		text := e.Error()
		text = strings.ToValidUTF8(text[:min(len(text), maxAnswer)], "")
		fault := &Fault{Status: e.StatusCode, Err: errors.New(text)}
		switch e.StatusCode {
		case http.StatusNotFound:
			fault.Err = fmt.Errorf("%w: %s", ErrNotFound, text)
		case http.StatusUnauthorized, http.StatusForbidden:
			fault.Err = fmt.Errorf("%w: %s", ErrDenied, text)
		}
		return fault
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		host := "the registry"
		if u, err := url.Parse(e.URL); err == nil && u.Host != "" {
			host = u.Host
		}
		return &Fault{Err: fmt.Errorf("%s does not answer: %w", host, e.Err)}
	}
	return err
}

// Fault is what a registry has answered, or that it has not.
type Fault struct {
	Status int   // of the answer; 0 for none
	Err    error // what happened, in words
}

func (f *Fault) Error() string { return f.Err.Error() }

// Unwrap gives what happened, which may be one of the kinds of faults.
func (f *Fault) Unwrap() error { return f.Err }
