package manifest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/manifest"
)

func TestInterpolate(t *testing.T) {
	env := map[string]string{
		"BP": "./ctx", "A": "1", "EMPTY": "", "WITH": "${A}", "A:-b": "odd", "a b": "space", "a\nb": "line", "${A": "brace", "": "nameless",
	}
	for _, tt := range []struct{ name, in, want string }{
		{"vector", "$${BP} ${ } ${UNDEF}x $BP", "$./ctx  x $BP"},
		{"no placeholder", "a: $A $ {A} {A}", "a: $A $ {A} {A}"},
		{"empty text", "", ""},
		{"every place", "# ${A}\n${A}: '${A}' \"${A}\"", "# 1\n1: '1' \"1\""},
		{"side by side", "${A}${A}${EMPTY}${A}", "111"},
		{"value is not read again", "${WITH}", "${A}"},
		{"joined by an empty value", "$${EMPTY}{A}", "${A}"},
		{"no default", "${A:-b}", "odd"},
		{"names are verbatim", "${a b} ${a\nb} ${A } ${ A}", "space line  "},
		{"empty name", "${}", "nameless"},
		{"first brace closes", "${${A}}", "brace}"},
		{"not closed", "${A ${A} ${A", " ${A"},
		{"bytes that are not text", "\xff${A}\xfe", "\xff1\xfe"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(manifest.Interpolate([]byte(tt.in), env)); got != tt.want {
				t.Errorf("%q became %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

// replaced is interpolation in the plainest words: find "${", find "}", look up.
func replaced(text string, env map[string]string) string {
	before, rest, found := strings.Cut(text, "${")
	if !found {
		return text
	}
	name, after, closed := strings.Cut(rest, "}")
	if !closed {
		return text
	}
	return before + env[name] + replaced(after, env)
}

// FuzzInterpolate: the result is that of the plain words, and every variable that
// was looked up is one of those that [manifest.Variables] lists.
func FuzzInterpolate(f *testing.F) {
	f.Add([]byte("$${BP} ${ } ${UNDEF}x $BP"), "BP", "./ctx")
	f.Add([]byte("${${A}} ${A ${A} ${}"), "${A", "v")
	f.Add([]byte("a: $A\n\xff${\n}$${}}${"), "\n", "${\n}")
	f.Fuzz(func(t *testing.T, data []byte, name, value string) {
		env := map[string]string{name: value}
		got := manifest.Interpolate(data, env)
		if want := replaced(string(data), env); string(got) != want {
			t.Errorf("%q became %q, want %q", data, got, want)
		}
		if !slices.Contains(manifest.Variables(data), name) && string(got) != replaced(string(data), nil) {
			t.Errorf("%q has %q, which is not listed", data, name)
		}
	})
}
