package source_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/source"
)

func TestIgnoredBy(t *testing.T) {
	for _, test := range []struct {
		name, rules, file string
		line              int // 0: not ignored
		text              string
	}{
		{"no rules", "", "convox.yml", 0, ""},
		{"no match", "a\nb", "convox.yml", 0, ""},
		{"by name", "# c\n\nconvox.yml\n", "convox.yml", 3, "convox.yml"},
		{"the last that matches", "*\n*.yml\nb\n", "convox.yml", 2, "*.yml"},
		{"a folder above", "x\nweb/\n", "web/deep/Dockerfile", 2, "web/"},
		{"taken back", "*\n!convox.yml", "convox.yml", 0, ""},
		{"taken back for another", "*\n!other", "convox.yml", 1, "*"},
		{"taken back and out again", "*\n!convox.yml\n  /convox.* \r\n", "convox.yml", 3, "/convox.*"},
		{"byte order mark", "\ufeffconvox.yml", "convox.yml", 1, "\ufeffconvox.yml"},
		{"byte order mark further down", "a\n\ufeffconvox.yml", "convox.yml", 0, ""},
		{"byte order mark further down is part of a name", "*\n\ufeffconvox.yml", "convox.yml", 1, "*"},
		{"comment further down", "a\n#convox.yml", "convox.yml", 0, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			grow(t, dir, map[string]string{".dockerignore": test.rules})
			r, ok, err := source.IgnoredBy(dir, test.file)
			if err != nil || ok != (test.line > 0) || r.Line != test.line || r.Text != test.text {
				t.Errorf("IgnoredBy = %d %q, %v, %v, want %d %q", r.Line, r.Text, ok, err, test.line, test.text)
			}
		})
	}
	if _, ok, err := source.IgnoredBy(t.TempDir(), "x"); ok || err != nil {
		t.Errorf("without a file of rules: %v, %v", ok, err)
	}
}

// FuzzIgnoredBy: a file is ignored by a rule exactly when it is not in the archive, and that
// rule is a line of the file.
func FuzzIgnoredBy(f *testing.F) {
	for _, rules := range []string{"a", "*\n!a/b", "a/b/c\n!a\n**/c", "\ufeffa\n# b\n\n /a/ \r\n", "!a\n*/b", "a\\\n[^b]\n", "**\n!**/c"} {
		f.Add(rules)
	}
	f.Fuzz(func(t *testing.T, rules string) {
		dir := t.TempDir()
		files := []string{"a/b/c", "a/d", "e"}
		grow(t, dir, map[string]string{".dockerignore": rules, files[0]: "", files[1]: "", files[2]: ""})
		var b bytes.Buffer
		if _, err := source.Pack(t.Context(), &b, dir, source.Options{}); err != nil {
			return
		}
		sent := names(t, b.Bytes())
		for _, file := range files {
			r, ok, err := source.IgnoredBy(dir, file)
			if err != nil || ok == slices.Contains(sent, file) {
				t.Errorf("%s: ignored is %v, %v; sent are %q", file, ok, err, sent)
			}
			lines := strings.Split(rules, "\n")
			if ok && (r.Line < 1 || r.Line > len(lines) || strings.TrimSpace(lines[r.Line-1]) != r.Text || strings.HasPrefix(r.Text, "!")) {
				t.Errorf("%s: rule %+v is not in the file", file, r)
			}
		}
	})
}
