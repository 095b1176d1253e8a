//go:build !carrier

package app

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/registry/ecr"
	"github.com/convox-ci/convox-ci/internal/registry/ecr/ecrtest"
)

// added are the registries of a rack.
type added []rack.Registry

func (a added) ListRegistries(context.Context) ([]rack.Registry, error) { return a, nil }
func (added) PutRegistry(context.Context, rack.Registry) error          { return nil }
func (added) RemoveRegistry(context.Context, string) error              { return nil }

// TestKeychain: what is found for a registry, by what kind of one it is.
func TestKeychain(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	const own, foreign, plain = "123456789012.dkr.ecr.us-east-1.amazonaws.com", "210987654321.dkr.ecr.us-east-1.amazonaws.com", "registry.example.org"
	fake := ecrtest.New(t.Context(), t.TempDir(), time.Now)
	asked := map[string]int{} // by access key
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked[ecrtest.KeyOf(r)]++
		fake.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	fake.Know("AKIDADDED", "arn:aws:iam::123456789012:user/added")
	config := func(context.Context) (aws.Config, error) {
		return aws.Config{Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider(ecrtest.AccessKey, "secret", "")}, nil
	}
	for what, test := range map[string]struct {
		host  string
		added added
		user  string
		key   string // of AWS, that was used
	}{
		"of the credentials":     {own, nil, "AWS", ecrtest.AccessKey},
		"added to the rack":      {own, added{{Server: "https://" + own, Username: "AKIDADDED", Password: "secret"}}, "AWS", "AKIDADDED"},
		"of another":             {own, added{{Server: foreign, Username: "AKIDADDED", Password: "secret"}}, "AWS", ecrtest.AccessKey},
		"not on ECR":             {plain, added{{Server: plain, Username: "AKIDADDED", Password: "secret"}}, "AKIDADDED", ""},
		"that nobody knows":      {plain, nil, "", ""},
		"of the rack, on itself": {"127.0.0.1:5017", nil, "convox", ""},
	} {
		t.Run(what, func(t *testing.T) {
			clear(asked)
			r, err := name.NewRegistry(test.host)
			if err != nil {
				t.Fatal(err)
			}
			all := keychain(ownKeychain{"127.0.0.1:5017", "convox", "password"}, test.added, ecr.New(ecr.Options{Config: config}))
			known, err := authn.Resolve(t.Context(), all, r)
			if err != nil {
				t.Fatal(err)
			}
			c, err := authn.Authorization(t.Context(), known)
			if err != nil || c.Username != test.user {
				t.Fatalf("signs in as %q, %v; want %q", c.Username, err, test.user)
			}
			if test.key != "" && asked[test.key] != 1 || test.key == "" && len(asked) != 0 {
				t.Errorf("asked for tokens as %v, want %q", asked, test.key)
			}
		})
	}
}

// TestReach: the rack's own registry may have a private address, what manifests
// name may not.
func TestReach(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	host := server.Listener.Addr().String()
	for _, test := range []struct {
		trusted string
		let     bool
	}{{host, true}, {"elsewhere", false}, {"", false}} {
		s := shelf{name: "elsewhere", trusted: test.trusted}
		res, err := (&http.Client{Transport: s.reach(false, ecr.New(ecr.Options{Config: (&account{}).config}))}).Get(server.URL)
		if (err == nil) != test.let {
			t.Errorf("with %q trusted: %v", test.trusted, err)
		}
		if err == nil {
			res.Body.Close()
		}
	}
}
