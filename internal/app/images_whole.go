//go:build !carrier

package app

import (
	"context"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/registry"
	"github.com/convox-ci/convox-ci/internal/registry/ecr"
)

// shelf is where a rack keeps its images: a registry of its own, or one on ECR.
type shelf struct {
	name    string            // that references begin with
	own     authn.Keychain    // for it
	mirrors map[string]string // by the hosts that stand for it
	trusted string            // its host, if a person has named it
	stock   rackd.Stock
	cache   rackd.BuildCache
}

// shelf opens or starts the registry of a rack.
func (r *runningRack) shelf(ctx context.Context, o rackOptions, cloud *ecr.Service) (s shelf, err error) {
	if o.elsewhere.images != "" {
		if s, err = shelfOnECR(ctx, o, cloud); err != nil {
			err = inputFault("registry", err)
		}
		r.registry = s.name
		return s, err
	}
	stock, err := r.serveRegistry(ctx, o)
	if err != nil {
		return s, err
	}
	cache, err := stock.Repository(rackd.BuildCacheName(o.name))
	return shelf{
		name: r.registry, own: ownKeychain{r.registry, "convox", o.password}, stock: stock, cache: cache,
		mirrors: map[string]string{registry.DefaultAddress: r.registry, r.registry: r.registry},
	}, err
}

// shelfOnECR opens what the input registry names. The repositories of apps are
// below the name of the rack if it names nothing to put them below: others may
// use the registry too.
func shelfOnECR(ctx context.Context, o rackOptions, cloud *ecr.Service) (shelf, error) {
	host, path, _ := strings.Cut(strings.TrimPrefix(o.elsewhere.images, ecrScheme), "/")
	cacheName := rackd.BuildCacheName(o.name)
	if path = strings.Trim(path, "/"); path == "" {
		path = lowerName(o.name)
	}
	opened, err := cloud.Open(ctx, host, path)
	if err != nil {
		return shelf{}, err
	}
	cache, err := opened.Repository(cacheName)
	return shelf{name: opened.Name(), own: onlyKeychain{opened.Host(), cloud}, trusted: opened.Host(), stock: opened, cache: cache}, err
}

// reach is the way to registries. What manifests name is guarded; the rack's own
// registry is where a person has said, also if that is a private address, as those
// of endpoints in a network on AWS are.
func (s *shelf) reach(private bool, cloud *ecr.Service) http.RoundTripper {
	return cloud.Transport(&reach{trusted: s.trusted, direct: remote.DefaultTransport, guarded: registry.Guarded(s.name, private)})
}

type reach struct {
	trusted         string
	direct, guarded http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (r *reach) RoundTrip(q *http.Request) (*http.Response, error) {
	if r.trusted != "" && q.URL.Host == r.trusted {
		return r.direct.RoundTrip(q)
	}
	return r.guarded.RoundTrip(q)
}

// onlyKeychain asks another keychain about one host only.
type onlyKeychain struct {
	host string
	of   authn.Keychain
}

// Resolve implements [authn.Keychain].
func (k onlyKeychain) Resolve(r authn.Resource) (authn.Authenticator, error) {
	if r.RegistryStr() != k.host {
		return authn.Anonymous, nil
	}
	return k.of.Resolve(r)
}
