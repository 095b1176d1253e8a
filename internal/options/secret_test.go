package options_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/options"
)

func TestSecretIsNeverShown(t *testing.T) {
	type holder struct{ Password options.Secret }
	h := holder{"hunter22"}
	var shown bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%T!"} {
		fmt.Fprintf(&shown, verb+"\n", h)
		fmt.Fprintf(&shown, verb+"\n", h.Password)
		fmt.Fprintf(&shown, verb+"\n", &h)
	}
	fmt.Fprintln(&shown, h, h.Password, h.Password.String(), h.Password.GoString())
	text, err := json.Marshal(map[string]any{"a": h, "b": &h.Password})
	shown.Write(text)
	slog.New(slog.NewTextHandler(&shown, nil)).Info("a", "b", h.Password, "c", h)
	slog.New(slog.NewJSONHandler(&shown, nil)).Info("a", "b", h.Password, "c", h)
	for _, form := range []string{"hunter22", fmt.Sprintf("%x", "hunter22"), fmt.Sprintf("%X", "hunter22")} {
		if strings.Contains(shown.String(), form) {
			t.Errorf("%s in\n%s", form, shown.String())
		}
	}
	if n := strings.Count(shown.String(), "***"); n < 30 || err != nil {
		t.Errorf("%d stars, %v", n, err)
	}
	if h.Password.Reveal() != "hunter22" {
		t.Error("reveal")
	}
}
