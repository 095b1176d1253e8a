//go:build unix && !carrier

package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/registry"
	"github.com/convox-ci/convox-ci/internal/registry/ecr"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// away is a way to registries that are away.
type away struct{}

func (away) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusServiceUnavailable, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

// busy is a registry on ECR that has too much to do.
type busy struct{ bake.Registry }

func (busy) Push(context.Context, string, string) (string, error) {
	return "", &ecr.Error{Kind: ecr.ErrThrottled}
}

// TestPushToAWSMeetsAFault: that the registry is away or busy is no fault of the build.
func TestPushToAWSMeetsAFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		at, err := layout.Write(dir, empty.Index)
		if err != nil {
			t.Fatal(err)
		}
		if err := at.AppendImage(mutate.MediaType(empty.Image, "application/vnd.oci.image.manifest.v1+json")); err != nil {
			t.Fatal(err)
		}
		for _, r := range []bake.Registry{mounter{&registry.Client{Transport: away{}}, "ecr.test"}, ofRack{busy{}, "ecr.test"}} {
			_, err := r.Push(t.Context(), dir, "ecr.test/office/web:1")
			if fault, ok := errors.AsType[*workflow.DeliveryError](err); !ok || fault.Status != http.StatusServiceUnavailable || fault.Host != "ecr.test" || !errors.Is(err, rack.ErrUnavailable) {
				t.Error(err)
			}
		}
	})
}

// TestCredentialsThatAreNoGood: that there are none is said only where there are none,
// and no secret is in what is said else.
func TestCredentialsThatAreNoGood(t *testing.T) {
	dir := t.TempDir()
	server := httptest.NewServer(http.NotFoundHandler()) // of the machine, which has none
	defer server.Close()
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.URL)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(dir, "none"))
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(dir, "config"))
	const others = "the credentials of AWS that are set up here cannot be used: "
	for _, test := range []struct{ config, address, want string }{
		{"", "", errNoCredentials.Error()},
		{"[default]\ncredential_process = /bin/sh -c \"echo pale-orchid\"\n", "", others + "credential_process has put out none"},
		{"[default]\ncredential_process = /bin/sh -c \"echo pale-orchid; exit 3\"\n", "", others + "credential_process: exit status 3"},
		{"", server.URL + "/pale-orchid", others + "404 page not found"},
	} {
		if err := os.WriteFile(filepath.Join(dir, "config"), []byte(test.config), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", test.address)
		for _, given := range []bool{false, true} {
			a := &account{mask: func(string) {}, given: given}
			_, err := a.settled(t.Context())
			if err == nil || err.Error() != test.want && (test.want != others || !strings.HasPrefix(err.Error(), others)) {
				t.Errorf("%+v: %v", test, err)
			}
			if text := fmt.Sprint(err); strings.Contains(text, "pale-orchid") || strings.Contains(text, "\n") || len(text) > len(others)+maxCause {
				t.Errorf("%q", text)
			}
		}
	}
}
