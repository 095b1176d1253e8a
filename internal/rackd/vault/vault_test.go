package vault_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rackd/vault"
)

func TestSealed(t *testing.T) {
	key, ctx := vault.Key{1, 2, 3}, t.Context()
	for _, text := range []string{"", "A=1\nB=\x00世界", strings.Repeat("long", 100_000)} {
		e, err := key.Seal(ctx, text, "release web/RA")
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(e) // as it is stored
		if err != nil || text != "" && strings.Contains(string(data), text) {
			t.Fatalf("%.80s, %v", data, err)
		}
		var stored vault.Envelope
		if err := json.Unmarshal(data, &stored); err != nil {
			t.Fatal(err)
		}
		if got, err := key.Open(ctx, &stored, "release web/RA"); err != nil || got != text {
			t.Errorf("opened %.80q, %v", got, err)
		}
		if again, err := key.Seal(ctx, text, "release web/RA"); err != nil || slices.Equal(again.Text, e.Text) {
			t.Errorf("sealed twice it is the same: %v", err)
		}
	}
}

// Nothing but what was sealed is opened, and nothing makes it panic.
func TestNotSealed(t *testing.T) {
	key, ctx := vault.Key{1, 2, 3}, t.Context()
	e, err := key.Seal(ctx, "text", "one")
	if err != nil {
		t.Fatal(err)
	}
	flip := func(b []byte) []byte { b = slices.Clone(b); b[len(b)-1] ^= 1; return b }
	for name, test := range map[string]struct {
		key   vault.Key
		e     vault.Envelope
		about string
	}{
		"another key":     {vault.Key{9}, *e, "one"},
		"of another":      {key, *e, "two"},
		"another text":    {key, vault.Envelope{Text: flip(e.Text), Key: e.Key, Nonce: e.Nonce}, "one"},
		"another nonce":   {key, vault.Envelope{Text: e.Text, Key: e.Key, Nonce: flip(e.Nonce)}, "one"},
		"a short nonce":   {key, vault.Envelope{Text: e.Text, Key: e.Key, Nonce: e.Nonce[1:]}, "one"},
		"another own key": {key, vault.Envelope{Text: e.Text, Key: flip(e.Key), Nonce: e.Nonce}, "one"},
		"nothing":         {key, vault.Envelope{}, "one"},
	} {
		if text, err := test.key.Open(ctx, &test.e, test.about); !errors.Is(err, vault.ErrSealed) || text != "" {
			t.Errorf("%s: opened %q, %v", name, text, err)
		}
	}
}
