package entry

import (
	"encoding/json"
	"reflect"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// FuzzWrapConfig: what is rewritten has the program before its entry point and the
// layer behind the others; all else, the command too, is as it was.
func FuzzWrapConfig(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `[]`, `{"config":null,"rootfs":null}`, `{"config":{"Cmd":null}}`, `{"config":{"Entrypoint":["a","<b>"],"Cmd":["c"],"x":1e400}}`,
		`{"rootfs":{"type":"layers","diff_ids":["sha256:00"]},"history":[{"created_by":"x"},{"empty_layer":true}],"created":"2020-01-01T00:00:00Z"}`,
		`{"history":[null],"rootfs":{"diff_ids":[null]},"created":5}`,
	} {
		f.Add([]byte(seed))
	}
	id := v1.Hash{Algorithm: "sha256", Hex: "0123"}
	f.Fuzz(func(t *testing.T, raw []byte) {
		wrapped, err := wrapConfig(raw, id)
		if err != nil {
			return
		}
		var before, after map[string]any
		if err := json.Unmarshal(raw, &before); err != nil {
			return // a number that Go cannot hold; it is kept as text
		}
		if err := json.Unmarshal(wrapped, &after); err != nil {
			t.Fatalf("%s became %s: %v", raw, wrapped, err)
		}
		member := func(o map[string]any, name string) map[string]any { m, _ := o[name].(map[string]any); return m }
		entrypoint, _ := member(after, "config")["Entrypoint"].([]any)
		was, _ := member(before, "config")["Entrypoint"].([]any)
		if len(entrypoint) != len(was)+1 || entrypoint[0] != "/convox-env" {
			t.Errorf("entry point %v of %s", entrypoint, raw)
		}
		ids, _ := member(after, "rootfs")["diff_ids"].([]any)
		hadIDs, _ := member(before, "rootfs")["diff_ids"].([]any)
		if len(ids) != len(hadIDs)+1 || ids[len(ids)-1] != "sha256:0123" {
			t.Errorf("layers %v of %s", ids, raw)
		}
		told, _ := after["history"].([]any)
		hadTold, _ := before["history"].([]any)
		if len(told)-len(hadTold) > 1 || len(told) > 0 && !reflect.DeepEqual(told[:len(hadTold)], append([]any{}, hadTold...)) {
			t.Errorf("history %v of %s", told, raw)
		}
		strip(before)
		strip(after)
		if !reflect.DeepEqual(before, after) {
			t.Errorf("%s became %s", raw, wrapped)
		}
	})
}

// strip takes away what may change.
func strip(o map[string]any) {
	for name, part := range map[string]string{"config": "Entrypoint", "rootfs": "diff_ids"} {
		m, _ := o[name].(map[string]any)
		delete(m, part)
		if len(m) == 0 {
			delete(o, name)
		}
	}
	delete(o, "history")
}
