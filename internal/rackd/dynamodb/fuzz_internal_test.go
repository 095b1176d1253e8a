package dynamodb

import (
	"maps"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rackd/vault"
)

// FuzzItems reads items as anybody may have written them. A build that was read is
// written in one way, and read again is the same: or no swap that is based on it would
// ever succeed.
func FuzzItems(f *testing.F) {
	f.Add("20260102.030405.123456789", "true", "complete", "a/2", `{"c":"AA==","k":"AA==","n":"AA=="}`)
	f.Add("20260102.030405,123456789", "True", "", "a/-1", "A=1")
	f.Add("soon", "", "x", "99999999999999999999", "{}")
	f.Fuzz(func(t *testing.T, created, wildcard, status, pieces, env string) {
		item := texts{"id": "BA", "app": "web", "created": created, "ended": created, "wildcard-domain": wildcard, "status": status}
		b := buildOf(item)
		written := buildTexts(b)
		if again := buildOf(written); again != b {
			t.Errorf("read %+v, and then %+v", b, again)
		}
		if !maps.Equal(buildTexts(buildOf(written)), written) || !holdsBuild(stored{item, item}, b) {
			t.Errorf("%v does not hold what was read from it", item)
		}
		if _, n := cutPieces(pieces); n > maxPieces || n < -1 {
			t.Errorf("%q are %d pieces", pieces, n)
		}
		s := &Store{vault: vault.Key{1}}
		if text, sealed, err := s.openText(t.Context(), env, "release web/RA"); text != "" || sealed != (err != nil) {
			t.Errorf("%q is opened: %q, %v", env, text, err)
		}
		if d, err := s.dropIn(texts{"app": "web", "id": "BA", "name": created}); err == nil && created != "web/BA/"+d.mark {
			t.Errorf("%q is the drop %v", created, d)
		}
	})
}
