package buildkit_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/image/buildkit"
	"github.com/convox-ci/convox-ci/internal/image/buildkit/embedded"
	"github.com/convox-ci/convox-ci/internal/registry"
)

const registryPassword = "orchid-pale-moon"

// login is a keychain of one registry.
type login struct{ Host, User, Password string }

// Resolve implements [authn.Keychain].
func (l login) Resolve(r authn.Resource) (authn.Authenticator, error) {
	if r.RegistryStr() != l.Host {
		return authn.Anonymous, nil
	}
	return &authn.Basic{Username: l.User, Password: l.Password}, nil
}

func keychains(logins []login) (all []authn.Keychain) {
	for _, l := range logins {
		all = append(all, l)
	}
	return all
}

// cacheRegistry is a registry with a password, and a builder that knows it.
func cacheRegistry(t *testing.T, logins ...login) (host string, b *buildkit.Builder) {
	t.Helper()
	server := httptest.NewServer(registry.Embedded(t.Context(), t.TempDir(), registryPassword))
	t.Cleanup(server.Close)
	host = strings.TrimPrefix(server.URL, "http://")
	return host, freshBuilder(t, append(logins, login{Host: host, User: "convox", Password: registryPassword})...)
}

// freshBuilder is one that has no layers yet.
func freshBuilder(t *testing.T, logins ...login) *buildkit.Builder {
	t.Helper()
	d, err := embedded.Start(t.Context(), embedded.Options{Root: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	c, err := buildkit.Ready(t.Context(), embedded.Address, d.Dialer())
	if err != nil {
		t.Fatal(err)
	}
	b := buildkit.New(c)
	b.Keychain = authn.NewMultiKeychain(keychains(logins)...)
	t.Cleanup(func() {
		b.Close()
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// staged has a step in a stage that is not in the image: only a cache of all steps
// has it.
var staged = map[string]string{
	"Dockerfile": "RUN [\"/step\", \"random\", \"/random\"]\nFROM scratch\nCOPY --from=base /random /copied\n",
}

// TestCacheFromTheRegistry builds with two builders that have nothing in common but
// the registry.
func TestCacheFromTheRegistry(t *testing.T) {
	host, first := cacheRegistry(t)
	dir := source(t, staged)
	one := spec(t, dir)
	one.Cache.To = host + "/rack-build-cache:app.1"
	img, log := mustBuild(t, first, one)
	random := contents(t, img)["copied"]
	if random == "" || strings.Contains(log, "WARNING") || strings.Contains(log, registryPassword) {
		t.Fatalf("file is %q, log:\n%s", random, log)
	}
	second := freshBuilder(t) // reading needs no password
	two := spec(t, source(t, map[string]string{"Dockerfile": staged["Dockerfile"] + "COPY --from=base /random /again\n"}))
	two.Cache.From = []string{host + "/rack-build-cache:none", host + "/rack-build-cache:app.1"}
	img, log = mustBuild(t, second, two)
	if got := contents(t, img)["again"]; got != random {
		t.Errorf("the step was run again: %q, was %q\n%s", got, random, log)
	}
	if !strings.Contains(log, "CACHED") || !strings.Contains(log, "\nWARNING: the persistent cache was not read: ") {
		t.Errorf("log lacks what is cached, or the tag that is not there:\n%s", log)
	}
	three := spec(t, dir)
	three.NoCache, three.Cache = true, one.Cache
	img, log = mustBuild(t, first, three)
	fresh := contents(t, img)["copied"]
	if fresh == random {
		t.Errorf("a build without the cache took a step from it:\n%s", log)
	}
	four := spec(t, dir)
	four.Cache.From = []string{one.Cache.To}
	if img, log = mustBuild(t, freshBuilder(t), four); contents(t, img)["copied"] != fresh {
		t.Errorf("a build without the cache has not left its step:\n%s", log)
	}
}

// TestCacheFaultsAreWarnings: registries that refuse or are not there, and a login
// that is another's, cost a line in the log.
func TestCacheFaultsAreWarnings(t *testing.T) {
	host, b := cacheRegistry(t)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for name, c := range map[string]struct {
		b    *buildkit.Builder
		host string
	}{
		"not there":      {b, strings.TrimPrefix(gone.URL, "http://")},
		"no login":       {freshBuilder(t), host},
		"another's":      {freshBuilder(t, login{Host: "other.test", User: "convox", Password: registryPassword}), host},
		"wrong password": {freshBuilder(t, login{Host: host, User: "convox", Password: "wrong-password"}), host},
	} {
		t.Run(name, func(t *testing.T) {
			s := spec(t, source(t, staged))
			s.Cache.To = c.host + "/rack-build-cache:app.1"
			_, log := mustBuild(t, c.b, s)
			if n := strings.Count(log, "\nWARNING: the persistent cache was not written: "); n != 1 {
				t.Errorf("log has %d warnings:\n%s", n, log)
			}
			if strings.Contains(log, "password") {
				t.Errorf("log has a password:\n%s", log)
			}
		})
	}
}

// TestLoginIsForItsHost: a registry that asks for a password gets none of another.
func TestLoginIsForItsHost(t *testing.T) {
	_, b := cacheRegistry(t)
	var mu sync.Mutex
	var sent []string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		sent = append(sent, r.Header.Get("Authorization"))
		mu.Unlock()
		io.Copy(io.Discard, r.Body)
		w.Header().Set("WWW-Authenticate", `Basic realm="other"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer other.Close()
	s := spec(t, source(t, staged))
	s.Cache.To = strings.TrimPrefix(other.URL, "http://") + "/cache:1"
	mustBuild(t, b, s)
	mu.Lock()
	defer mu.Unlock()
	if len(sent) == 0 || strings.Join(sent, "") != "" {
		t.Errorf("the other registry was sent %q", sent)
	}
}

// TestWhoCaches: Docker's engine is able to with containerd's image store alone.
func TestWhoCaches(t *testing.T) {
	if !onEmbedded(t).Caches(t.Context()) {
		t.Error("the embedded daemon says that it keeps no caches")
	}
	docker := onDocker(t)
	e, err := shared.engine()
	if err != nil {
		t.Fatal(err)
	}
	able, err := e.OnContainerd()
	if got := docker.Caches(t.Context()); err != nil || got != able {
		t.Errorf("that this engine keeps caches is %v, and that it has containerd's image store %v, %v", got, able, err)
	}
}

// TestCacheInADirectory builds with two builders that have nothing in common but a
// directory; one without a cache, and one that cannot be written to, cost a line.
func TestCacheInADirectory(t *testing.T) {
	dir, files := filepath.Join(t.TempDir(), "cache"), source(t, staged)
	cache := func(name, value string) []image.CacheEntry {
		return []image.CacheEntry{{Type: "local", Attrs: map[string]string{name: value}}}
	}
	one := spec(t, files)
	one.Cache.Imports, one.Cache.Exports = cache("src", dir), cache("dest", dir)
	one.Cache.Exports[0].Attrs["mode"] = "max"
	img, log := mustBuild(t, freshBuilder(t), one)
	random := contents(t, img)["copied"]
	if n := strings.Count(log, "WARNING: the cache was not read: there is none in "+dir); n != 1 || strings.Contains(log, "not written") {
		t.Errorf("%d lines say that there is no cache:\n%s", n, log)
	}
	two := spec(t, files)
	two.Cache.Imports, two.Cache.Exports = cache("src", dir), cache("dest", filepath.Join(files, "Dockerfile"))
	img, log = mustBuild(t, freshBuilder(t), two)
	if got := contents(t, img)["copied"]; got != random || random == "" {
		t.Errorf("the step was run again: %q, was %q\n%s", got, random, log)
	}
	if n := strings.Count(log, "WARNING: the cache was not written: "); n != 1 || strings.Contains(log, "not read") {
		t.Errorf("%d lines say that it cannot be written:\n%s", n, log)
	}
}
