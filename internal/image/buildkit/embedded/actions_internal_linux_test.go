package embedded

import (
	"encoding/json"
	"strings"
	"testing"

	v1 "github.com/moby/buildkit/cache/remotecache/v1"
	"github.com/opencontainers/go-digest"
)

// FuzzActionsList: a list of steps, which anybody who may write the cache may have
// made, is read or refused.
func FuzzActionsList(f *testing.F) {
	sum := digest.FromString("x")
	good, err := json.Marshal(map[string]any{
		"layers":  []any{map[string]any{"blob": sum, "parent": -1, "annotations": map[string]any{"mediaType": "m", "diffID": sum, "size": 3}}},
		"records": []any{map[string]any{"digest": sum, "layers": []any{map[string]any{"layer": 0, "createdAt": "2026-01-02T03:04:05Z"}}}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"layers":[{"blob":"sha256:x"}]}`))
	f.Add([]byte(`{"records":[{"digest":"sha256:x","inputs":[[{"link":0}]]}]}`))
	f.Add([]byte(`{"records":[{"digest":"sha256:x","layers":[{"layer":7}]}]}`))
	f.Add([]byte(`{"layers":[{"blob":"` + sum.String() + `","parent":0,"annotations":{"diffID":"` + sum.String() + `"}}],"records":[{"digest":"` + sum.String() + `","layers":[{"layer":0}]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		into := v1.NewCacheChains()
		if (&actionsImporter{}).parse(text, into, nil) != nil {
			return
		}
		if _, _, err := into.Marshal(t.Context()); err != nil && strings.Contains(err.Error(), "missing") {
			t.Errorf("a list with what it has not was read: %v", err)
		}
	})
}
