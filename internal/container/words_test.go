package container

import (
	"slices"
	"strings"
	"testing"
)

func TestWords(t *testing.T) {
	for line, want := range map[string][]string{
		"":                       nil,
		" \t\n ":                 nil,
		"bin/task now":           {"bin/task", "now"},
		"  two\t words\n":        {"two", "words"},
		`'a  b' "c  d" e\ \ f`:   {"a  b", "c  d", "e  f"},
		`x'a'"b"\c`:              {"xabc"},
		`'' "" x''`:              {"", "", "x"},
		`"\$ \" \\ \x" '\$ " \'`: {`$ " \ \x`, `\$ " \`},
		`$A | b > c; d && # *`:   {"$A", "|", "b", ">", "c;", "d", "&&", "#", "*"},
		"é\u00a0ü '\xff'":        {"é\u00a0ü", "\xff"},
		"'it'\\''s'":             {"it's"},
	} {
		got, err := words(line)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v, want %q", line, got, err, want)
		}
	}
	for _, line := range []string{"'a", `"a`, `a\`, `"a\"`, `'a\'b'`} {
		if got, err := words(line); err == nil {
			t.Errorf("%q: %q", line, got)
		}
	}
}

// FuzzWords: whatever a line is taken apart into, quoted in each way and put
// together again it is taken apart into the same.
func FuzzWords(f *testing.F) {
	for _, line := range []string{"a b", `'a  b' "c" \d`, "''", `"\$"`} {
		f.Add(line)
	}
	double := strings.NewReplacer("$", `\$`, "`", "\\`", `"`, `\"`, `\`, `\\`)
	f.Fuzz(func(t *testing.T, line string) {
		all, err := words(line)
		if err != nil {
			return
		}
		for _, quote := range []func(string) string{
			func(w string) string { return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'" },
			func(w string) string { return `"` + double.Replace(w) + `"` },
		} {
			var quoted []string
			for _, w := range all {
				quoted = append(quoted, quote(w))
			}
			again, err := words(strings.Join(quoted, " "))
			if err != nil || !slices.Equal(again, all) {
				t.Errorf("%q: %q, and from %q: %q, %v", line, all, quoted, again, err)
			}
		}
	})
}
