package workflow

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// dated lays out files and tells the times of what is there.
func dated(t *testing.T, files map[string]string) map[string]time.Time {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := dateTree(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	times := map[string]time.Time{}
	err = fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		times[name] = info.ModTime().UTC()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return times
}

func TestDates(t *testing.T) {
	files := map[string]string{"a": "1", "b": "", "web/index.html": "v1", "web/style.css": "x", "web/img/logo": "y", "vendor/m/m.go": "z"}
	first := dated(t, files)
	if d := cmp.Diff(first, dated(t, files)); d != "" {
		t.Errorf("the same files have other times elsewhere:\n%s", d)
	}
	for name, at := range first {
		if at.Year() < 2000 || at.Year() > 2020 || at.Unix()%2 != 0 || at.Nanosecond() != 0 {
			t.Errorf("%s has %v", name, at)
		}
	}
	files["web/index.html"] = "v2" // as long as before
	for name, at := range dated(t, files) {
		if at.Equal(first[name]) == (name == "web/index.html") {
			t.Errorf("after a change of web/index.html %s has %v, before it %v", name, at, first[name])
		}
	}
}

func TestDatesEndWithTheContext(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if err := dateTree(ctx, root); !errors.Is(err, why) {
		t.Errorf("the error is %v", err)
	}
}
