//go:build unix

package source_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/convox-ci/convox-ci/internal/source"
	"github.com/google/go-cmp/cmp"
)

func TestPipeIsLeftOut(t *testing.T) {
	dir := t.TempDir()
	grow(t, dir, map[string]string{"f": ""})
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	var warned string
	packed := pack(t, dir, source.Options{Warn: func(text string) { warned += text }})
	if diff := cmp.Diff([]string{"f"}, names(t, packed)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if want := `sockets, pipes and devices are left out: "pipe"`; warned != want {
		t.Errorf("warned %q, want %q", warned, want)
	}
}

// A pipe that takes the place of a file must not be waited for: nobody writes to it.
func TestFileThatBecomesAPipe(t *testing.T) {
	dir := stuck(t)
	synctest.Test(t, func(t *testing.T) {
		_, err := packSlowly(t, dir, 0, func() {
			name := filepath.Join(dir, "f080") // walked and not yet opened
			if err := errors.Join(os.Remove(name), syscall.Mkfifo(name, 0o644)); err != nil {
				t.Fatal(err)
			}
		})
		if !errors.Is(err, source.ErrChanged) || !strings.Contains(err.Error(), `"f080"`) {
			t.Errorf("Pack = %v, want %v with the name", err, source.ErrChanged)
		}
	})
}
