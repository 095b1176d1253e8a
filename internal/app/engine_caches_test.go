//go:build !carrier

package app

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/image/buildkit"
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
		"a container of today": {map[string]string{"ACTIONS_RUNTIME_TOKEN": "t", "ACTIONS_RESULTS_URL": "r", "ACTIONS_CACHE_URL": "c", "GITHUB_SERVER_URL": "https://acme.ghe.com"},
			map[string]string{"mode": "max", "token": "t", "url_v2": "r", "version": "2"}},
		"once": {map[string]string{"ACTIONS_RUNTIME_TOKEN": "t", "ACTIONS_CACHE_URL": "c"},
			map[string]string{"mode": "max", "token": "t", "url": "c", "version": "1"}},
		"a server of one's own": {map[string]string{"ACTIONS_RUNTIME_TOKEN": "t", "ACTIONS_RESULTS_URL": "r", "ACTIONS_CACHE_URL": "c", "GITHUB_SERVER_URL": "https://git.acme.test"},
			map[string]string{"mode": "max", "token": "t", "url": "c", "version": "1"}},
		"a new one of one's own": {map[string]string{"ACTIONS_RUNTIME_TOKEN": "t", "ACTIONS_RESULTS_URL": "r", "ACTIONS_CACHE_URL": "c", "GITHUB_SERVER_URL": "https://git.acme.test", "ACTIONS_CACHE_SERVICE_V2": "True"},
			map[string]string{"mode": "max", "token": "t", "url_v2": "r", "version": "2"}},
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

// TestWhoKeepsCachesOfActions: the engine inside knows the service of today alone.
func TestWhoKeepsCachesOfActions(t *testing.T) {
	for address, want := range map[string]string{
		"ACTIONS_RESULTS_URL": "",
		"ACTIONS_CACHE_URL":   "is not for the BuildKit inside convox-ci on this runner, whose cache service is of version 1 (ACTIONS_CACHE_URL)",
	} {
		environ := map[string]string{address: "https://service.test"}
		inside := &engine{variable: func(name string) string { return environ[name] }, builder: &buildkit.Builder{}, own: true}
		if err := inside.KeepsCache(t.Context(), inActions); (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("with %s: %v", address, err)
		}
		outside := &engine{variable: inside.variable, builder: &buildkit.Builder{}}
		if err := outside.KeepsCache(t.Context(), inActions); err != nil {
			t.Errorf("a daemon outside, with %s: %v", address, err)
		}
	}
}
