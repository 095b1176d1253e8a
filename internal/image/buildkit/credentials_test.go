package buildkit_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/convox-ci/convox-ci/internal/registry"
)

// keys knows one registry.
type keys struct {
	host string
	auth authn.Basic
}

func (k keys) Resolve(r authn.Resource) (authn.Authenticator, error) {
	if r.RegistryStr() != k.host {
		return nil, errors.New("asked for " + r.RegistryStr())
	}
	return &k.auth, nil
}

// A base image comes out of a registry that only serves one user.
func TestPrivateBaseImage(t *testing.T) {
	inner := registry.Embedded(t.Context(), t.TempDir(), "")
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "ann" || password != "s3cret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="the test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	defer h.Close()
	host := strings.TrimPrefix(h.URL, "http://")
	known := keys{host, authn.Basic{Username: "ann", Password: "s3cret"}}
	img, err := random.Image(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	base, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	base = base.DeepCopy()
	base.OS, base.Architecture = "linux", runtime.GOARCH
	if img, err = mutate.ConfigFile(img, base); err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(host + "/base:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img, remote.WithAuth(&known.auth)); err != nil {
		t.Fatal(err)
	}

	b := onEmbedded(t)
	defer func() { b.Keychain = nil }()
	s := spec(t, source(t, map[string]string{"Dockerfile": "FROM " + host + "/base:1\nLABEL made=here\n"}))
	for _, k := range []authn.Keychain{nil, keys{host, authn.Basic{Username: "ann", Password: "wrong"}}} {
		b.Keychain = k
		if err := b.Build(t.Context(), s, io.Discard); err == nil || !strings.Contains(err.Error(), "401") || strings.Contains(err.Error(), "wrong") {
			t.Errorf("with %T: %v", k, err)
		}
	}
	b.Keychain = known
	built, _ := mustBuild(t, b, s)
	config, err := built.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.Labels["made"] != "here" || len(config.RootFS.DiffIDs) != 1 {
		t.Errorf("image is %+v", config)
	}
}
