package source_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/source"
)

// look surveys dir, which must work.
func look(t *testing.T, dir string, o source.Options) source.Survey {
	t.Helper()
	s, err := source.Look(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestLookAgreesWithPack: what is told of an upload is true of it to the byte,
// also where the archive is longer than what pipes and buffers hold.
func TestLookAgreesWithPack(t *testing.T) {
	dir := t.TempDir()
	grow(t, dir, map[string]string{".dockerignore": "out", "out/x": "x", "kept": "k", "empty/": "", "link": "-> kept"})
	for i := range 40 {
		grow(t, dir, map[string]string{fmt.Sprintf("many/%d", i): strings.Repeat(fmt.Sprint(i), 100_000)})
	}
	var b bytes.Buffer
	var packed, looked []string
	want, err := source.Pack(t.Context(), &b, dir, source.Options{Warn: func(text string) { packed = append(packed, text) }})
	if err != nil {
		t.Fatal(err)
	}
	got := look(t, dir, source.Options{Warn: func(text string) { looked = append(looked, text) }})
	if diff := cmp.Diff(want, got.Stats); diff != "" {
		t.Errorf("stats (-pack +look):\n%s", diff)
	}
	if diff := cmp.Diff(packed, looked); diff != "" || len(looked) != 1 {
		t.Errorf("warnings (-pack +look):\n%s", diff)
	}
}

func TestLookFindsTheBiggest(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	for _, test := range []struct {
		name  string
		files map[string]string
		want  []source.Path
	}{
		{"nothing", nil, nil},
		{"by size, then by name", map[string]string{"b": x(5), "a": x(5), "c": x(9), "empty": ""}, []source.Path{{"c", 9}, {"a", 5}, {"b", 5}}},
		{"a folder of many", map[string]string{"m/a": x(3), "m/b": x(3), "c": x(5)}, []source.Path{{"m/", 6}, {"c", 5}, {"m/a", 3}, {"m/b", 3}}},
		{"a folder that is mostly one file", map[string]string{"m/a": x(7), "m/b": x(3)}, []source.Path{{"m/a", 7}, {"m/b", 3}}},
		{"folders down to the one that says it", map[string]string{"a/b/c/1": x(3), "a/b/c/2": x(3), "a/b/d": x(2), "a/e": x(1)},
			[]source.Path{{"a/b/c/", 6}, {"a/b/c/1", 3}, {"a/b/c/2", 3}, {"a/b/d", 2}, {"a/e", 1}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			grow(t, dir, test.files)
			if diff := cmp.Diff(test.want, look(t, dir, source.Options{}).Biggest); diff != "" {
				t.Errorf("biggest (-want +got):\n%s", diff)
			}
		})
	}
	dir := t.TempDir()
	for i := range 30 {
		grow(t, dir, map[string]string{fmt.Sprintf("f%02d", i): x(i + 1)})
	}
	got := look(t, dir, source.Options{}).Biggest
	if len(got) != 10 || got[0] != (source.Path{Name: "f29", Bytes: 30}) || got[9] != (source.Path{Name: "f20", Bytes: 21}) {
		t.Errorf("of 30 files: %v", got)
	}
}

// TestLookCountsHardLinks: the first name of a file is no double.
func TestLookCountsHardLinks(t *testing.T) {
	dir := t.TempDir()
	grow(t, dir, map[string]string{"a": "x", "d/b": "y", ".dockerignore": "out", "out/z": "z"})
	for _, pair := range [][2]string{{"a", "d/a2"}, {"a", "z3"}, {"out/z", "z4"}} {
		if err := os.Link(filepath.Join(dir, pair[0]), filepath.Join(dir, pair[1])); err != nil {
			t.Fatal(err)
		}
	}
	want := source.Names{Count: 2, First: []string{"d/a2", "z3"}}
	if runtime.GOOS == "windows" {
		want = source.Names{}
	}
	if diff := cmp.Diff(want, look(t, dir, source.Options{}).Doubles); diff != "" {
		t.Errorf("doubles (-want +got):\n%s", diff)
	}
}

func TestLookFails(t *testing.T) {
	if _, err := source.Look(t.Context(), filepath.Join(t.TempDir(), "gone"), source.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is missing: %v", err)
	}
	dir := t.TempDir()
	grow(t, dir, map[string]string{".dockerignore": "["})
	if _, err := source.Look(t.Context(), dir, source.Options{}); err == nil || !strings.HasPrefix(err.Error(), ".dockerignore: ") {
		t.Errorf("a wrong rule: %v", err)
	}
	over := errors.New("over")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(over)
	if _, err := source.Look(ctx, t.TempDir(), source.Options{}); !errors.Is(err, over) {
		t.Errorf("a context that is over: %v", err)
	}
}
