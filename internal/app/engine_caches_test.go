//go:build !carrier

package app

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/image"
)

// TestCachesOfActions: the cache of GitHub Actions gets what the runner says, in the
// words of its age, and no other cache does.
func TestCachesOfActions(t *testing.T) {
	given := []image.CacheEntry{{Type: "registry", Attrs: map[string]string{"ref": "x"}}, {Type: "gha", Attrs: map[string]string{"mode": "max"}}}
	for name, c := range map[string]struct {
		environ map[string]string
		want    map[string]string
	}{
		"today": {map[string]string{"ACTIONS_RUNTIME_TOKEN": "t", "ACTIONS_RESULTS_URL": "r", "ACTIONS_CACHE_URL": "c"},
			map[string]string{"mode": "max", "token": "t", "url_v2": "r", "version": "2"}},
		"once": {map[string]string{"ACTIONS_RUNTIME_TOKEN": "t", "ACTIONS_CACHE_URL": "c"}, map[string]string{"mode": "max", "token": "t", "url": "c"}},
	} {
		e := &engine{variable: func(name string) string { return c.environ[name] }}
		if d := cmp.Diff([]image.CacheEntry{given[0], {Type: "gha", Attrs: c.want}}, e.ofActions(given)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	if len(given[1].Attrs) != 1 {
		t.Errorf("what was given is changed: %v", given)
	}
}
