package workflow

import (
	"context"
	"errors"
	"io/fs"
	"maps"
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
	for folder, name := range map[string]string{".": "a", "web": "web/style.css", "web/img": "web/img/logo"} {
		if !first[folder].Equal(first[name]) {
			t.Errorf("%s has %v, and %s in it %v", folder, first[folder], name, first[name])
		}
	}
	for name, at := range first {
		if at.Year() < 2000 || at.Year() > 2020 || at.Unix()%2 != 0 || at.Nanosecond() != 0 {
			t.Errorf("%s has %v", name, at)
		}
	}
	for _, change := range []struct {
		what, name, text string
		other            []string
	}{
		{"another text of the same length", "web/index.html", "v2", []string{"web", "web/index.html", "web/style.css"}},
		{"what begins the next file", "a", "1b", []string{".", "a", "b"}},
		{"another file", "vendor/m/n.go", "", []string{"vendor/m", "vendor/m/m.go"}},
	} {
		changed := maps.Clone(files)
		changed[change.name] = change.text
		now := dated(t, changed)
		var other []string
		for name, at := range first {
			if !now[name].Equal(at) {
				other = append(other, name)
			}
		}
		if d := cmp.Diff(change.other, other, cmp.Transformer("set", set)); d != "" {
			t.Errorf("%s: other times have (-want +got):\n%s", change.what, d)
		}
	}
}

// set forgets the order.
func set(list []string) map[string]bool {
	all := map[string]bool{}
	for _, s := range list {
		all[s] = true
	}
	return all
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
