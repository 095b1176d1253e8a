package source_test

import (
	"bytes"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/source"
	"github.com/google/go-cmp/cmp"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

func TestIgnoreRules(t *testing.T) {
	// Every tree has these, and what a test adds.
	base := map[string]string{"convox.yml": "", "a/x.go": "", "a/y.md": "", "a/b/x.go": "", "a/b/c/z.md": "", "n/m/l": ""}
	tests := []struct {
		name  string
		rules string
		more  string // one more file
		keep  []string
		want  string // the entries, less .dockerignore
	}{
		{"no rules", "", "", nil, "a/ a/b/ a/b/c/ a/b/c/z.md a/b/x.go a/x.go a/y.md convox.yml n/ n/m/ n/m/l"},
		{"folder", "a", "", nil, "convox.yml n/ n/m/ n/m/l"},
		{"folder with slash", "a/\n", "", nil, "convox.yml n/ n/m/ n/m/l"},
		{"leading slash", "/a\n/n", "", nil, "convox.yml"},
		{"only at the top", "x.go\nb", "x.go", nil, "a/ a/b/ a/b/c/ a/b/c/z.md a/b/x.go a/x.go a/y.md convox.yml n/ n/m/ n/m/l"},
		{"star stays in its folder", "*/x.go\n*.yml", "", nil, "a/ a/b/ a/b/c/ a/b/c/z.md a/b/x.go a/y.md n/ n/m/ n/m/l"},
		{"question mark", "?\n", "", nil, "convox.yml"},
		{"class", "[a-m]\n", "", nil, "convox.yml n/ n/m/ n/m/l"},
		{"two stars", "**/*.go\nn/**", "", nil, "a/ a/b/ a/b/c/ a/b/c/z.md a/y.md convox.yml n/"},
		{"two stars in the middle", "a/**/z.md\nn", "", nil, "a/ a/b/ a/b/c/ a/b/x.go a/x.go a/y.md convox.yml"},
		{"comments, blanks and spaces", "# a\n\n   a   \n\t\nn\r\n", "", nil, "convox.yml"},
		{"number sign after a space is no comment", " #a\na\nn", "#a", nil, "convox.yml"},
		{"byte order mark", "\ufeffa\nn", "", nil, "convox.yml"},
		{"escape", "\\*\na\nn", "*", nil, "convox.yml"},
		{"last rule wins", "a\n!a\nn\n!n\nn", "", nil, "a/ a/b/ a/b/c/ a/b/c/z.md a/b/x.go a/x.go a/y.md convox.yml"},
		{"again below an ignored folder", "a\nn\n!a/b/c", "", nil, "a/b/c/ a/b/c/z.md convox.yml"},
		{"again by name", "*\n!a/x.go", "", nil, "a/x.go"},
		{"again by star", "*\n!*/x.go", "", nil, "a/x.go"},
		{"again by two stars", "*\n!**/*.md", "", nil, "a/b/c/z.md a/y.md"},
		{"again by two stars in the middle", "*\n!a/**/z.md", "", nil, "a/b/c/z.md"},
		{"again by class", "*\n!a/[^q]/x.go", "", nil, "a/b/x.go"},
		{"again and out again", "a\nn\n!a/b\na/b/c", "", nil, "a/b/ a/b/x.go convox.yml"},
		{"again with slash and spaces", "*\n ! /a/b/ \n", "", nil, "a/b/ a/b/c/ a/b/c/z.md a/b/x.go"},
		{"folder above is no match", "*\n!a/b/c/z.md/q", "", nil, ""},
		{"nothing is always sent", "*", "Dockerfile", nil, ""},
		{"kept", "*", "Dockerfile", []string{"convox.yml", "./Dockerfile", "gone", "a/gone"}, "Dockerfile convox.yml"},
		{"kept below", "a\nn", "", []string{"a/b/c/z.md"}, "a/b/c/z.md convox.yml"},
		{"kept and not ignored", "n", "", []string{"a/x.go"}, "a/ a/b/ a/b/c/ a/b/c/z.md a/b/x.go a/x.go a/y.md convox.yml"},
		{"kept outside", "*", "", []string{"../convox.yml", "/convox.yml", "", ".", ".."}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			grow(t, dir, base)
			grow(t, dir, map[string]string{".dockerignore": test.rules})
			if test.more != "" {
				grow(t, dir, map[string]string{test.more: ""})
			}
			got := names(t, pack(t, dir, source.Options{Keep: test.keep}))
			got = slices.DeleteFunc(got, func(name string) bool { return name == ".dockerignore" })
			want := strings.Fields(test.want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOnlyTheTopIgnoreFileRules(t *testing.T) {
	dir := t.TempDir()
	grow(t, dir, map[string]string{"a/.dockerignore": "x", "a/x": "", ".gitignore": "a", ".git/HEAD": ""})
	want := []string{".git/", ".git/HEAD", ".gitignore", "a/", "a/.dockerignore", "a/x"}
	if diff := cmp.Diff(want, names(t, pack(t, dir, source.Options{}))); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestIgnoreFileMayBeALink(t *testing.T) {
	dir := t.TempDir()
	grow(t, dir, map[string]string{"rules": "x", "app/.dockerignore": "-> ../rules", "app/x": "", "app/y": ""})
	want := []string{".dockerignore", "y"}
	if diff := cmp.Diff(want, names(t, pack(t, filepath.Join(dir, "app"), source.Options{}))); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestWrongIgnoreFile(t *testing.T) {
	tests := []struct{ name, file, want string }{
		{"pattern", "ok\n[\n", `.dockerignore: rule "[": syntax error in pattern`},
		{"excluded pattern", "!a[", `.dockerignore: rule "!a[": syntax error in pattern`},
		{"regular expression", "**[]a]\n", `.dockerignore: rule "**[]a]": syntax error in pattern`},
		{"nothing excluded", "!", `.dockerignore: illegal exclusion pattern: "!"`},
		{"long line", strings.Repeat("x", 1<<17), ".dockerignore: bufio.Scanner: token too long"},
		{"long file", strings.Repeat("x\n", 1<<20), ".dockerignore: not a file of at most 1048576 bytes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			grow(t, dir, map[string]string{".dockerignore": test.file})
			_, err := source.Pack(t.Context(), new(bytes.Buffer), dir, source.Options{})
			if err == nil || err.Error() != test.want {
				t.Errorf("Pack = %v, want %s", err, test.want)
			}
		})
	}
	dir := t.TempDir()
	grow(t, dir, map[string]string{".dockerignore/": ""})
	if _, err := source.Pack(t.Context(), new(bytes.Buffer), dir, source.Options{}); err == nil {
		t.Error("a folder is taken as ignore file")
	}
}

// FuzzIgnoreRules holds the walk, which skips ignored folders where it can, to a walk that asks the
// matcher about every single entry.
func FuzzIgnoreRules(f *testing.F) {
	for _, rules := range []string{
		"*\n!a/b", "a\n!**/b", "**/a\n!a/*/c", "a/b\n!a\na\n!a/b/*", "*\n!a/[^x]*", "a\n!a\\/b", "*\n!c|c*", "*\n!a/{0}/b/c*", "*\n!a[^x]b", "a*\n!ab**c",
		"a\n!?/b\na/b\n!a/b/c", "**\n!b/**/a", "!a/b\n*", "*\n!/a/b/\n", "a/**\n!a/b", "*\n!\\a/b",
	} {
		f.Add(rules)
	}
	dir := f.TempDir()
	var all []string // every path of three names, parents first
	for _, top := range []string{"a", "b", "ab"} {
		all = append(all, top)
		for _, middle := range []string{"a", "b", "c"} {
			all = append(all, top+"/"+middle)
			for _, leaf := range []string{"a", "b", "c"} {
				all = append(all, top+"/"+middle+"/"+leaf)
				grow(f, dir, map[string]string{top + "/" + middle + "/" + leaf: ""})
			}
		}
	}
	slices.Sort(all)
	f.Fuzz(func(t *testing.T, rules string) {
		if err := os.WriteFile(filepath.Join(dir, ".dockerignore"), []byte(rules), 0o644); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if _, err := source.Pack(t.Context(), &b, dir, source.Options{}); err != nil {
			t.Skip()
		}
		got := names(t, b.Bytes())
		for i := range got {
			got[i] = strings.TrimSuffix(got[i], "/")
		}
		got = slices.DeleteFunc(got, func(name string) bool { return name == ".dockerignore" })
		slices.Sort(got)
		if diff := cmp.Diff(sent(t, rules, all), got); diff != "" {
			t.Errorf("rules %q (-want +got):\n%s", rules, diff)
		}
	})
}

// sent are those of the paths, parents first, that the rules do not ignore.
func sent(t *testing.T, rules string, paths []string) []string {
	patterns, err := ignorefile.ReadAll(strings.NewReader(rules))
	if err != nil {
		t.Fatal(err)
	}
	matcher, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{}
	above := map[string]patternmatcher.MatchInfo{}
	for _, name := range paths {
		ignored, info, err := matcher.MatchesUsingParentResults(name, above[path.Dir(name)])
		if err != nil {
			t.Fatal(err)
		}
		above[name] = info
		if !ignored {
			want = append(want, name)
		}
	}
	return want
}
