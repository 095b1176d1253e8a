//go:build !carrier

package app

import (
	"context"
	"errors"
	"net/http"
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
		for status, r := range map[int]bake.Registry{
			http.StatusServiceUnavailable: mounter{&registry.Client{Transport: away{}}, "ecr.test"},
			http.StatusTooManyRequests:    ofRack{busy{}, "ecr.test"},
		} {
			_, err := r.Push(t.Context(), dir, "ecr.test/office/web:1")
			if fault, ok := errors.AsType[*workflow.DeliveryError](err); !ok || fault.Status != status || fault.Host != "ecr.test" || !errors.Is(err, rack.ErrUnavailable) {
				t.Errorf("%d: %v", status, err)
			}
		}
	})
}
