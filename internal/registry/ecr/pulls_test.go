package ecr_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/convox-ci/convox-ci/internal/registry/ecr"
)

// TestPulls: an image is pulled with the permissions that are for pulls, and not
// without any one of them.
func TestPulls(t *testing.T) {
	l := start(t)
	if _, err := l.client().Push(t.Context(), imageOf(t, 1), l.open(t).Name()+"/web:1"); err != nil {
		t.Fatal(err)
	}
	pull := func() error {
		l.service = l.with(l.config) // without the token of the one before
		l.fake.Endpoint = "https://" + awsHost
		return l.named().Pull(t.Context(), awsHost+"/office/web:1", filepath.Join(t.TempDir(), "image"))
	}
	for _, p := range ecr.Permissions() {
		if !p.Pulls() {
			l.fake.Deny(p.Action)
		}
	}
	if err := pull(); err != nil {
		t.Fatal(err)
	}
	for _, p := range ecr.Permissions() {
		if !p.Pulls() {
			continue
		}
		l.fake.Deny(p.Action)
		if err := pull(); !errors.Is(err, ecr.ErrDenied) {
			t.Errorf("without %s: %v", p.Action, err)
		}
		l.fake.Allow(p.Action)
	}
}
