package manifest_test

import (
	"bytes"
	"regexp"
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

// FuzzInterpolate holds two properties. Text in which nothing is replaced comes
// back as it was. And when every name has a value that holds no part of a
// placeholder, none is left.
func FuzzInterpolate(f *testing.F) {
	f.Add([]byte("$${BP} ${ } ${UNDEF}x $BP"), "./ctx")
	f.Add([]byte("${${A}} ${A ${A} ${}"), "v")
	f.Add([]byte("a: $A\n\xff"), "v")
	placeholder := regexp.MustCompile(`\$\{[^}]*\}`)
	f.Fuzz(func(t *testing.T, data []byte, value string) {
		env := map[string]string{}
		for _, found := range placeholder.FindAll(data, -1) {
			env[string(found[2:len(found)-1])] = value
		}
		got := manifest.Interpolate(data, env)
		if !bytes.Contains(data, []byte("${")) && !bytes.Equal(got, data) {
			t.Errorf("%q became %q", data, got)
		}
		if value != "" && !strings.ContainsAny(value, "${}") && placeholder.Match(got) {
			t.Errorf("%q became %q, which holds a placeholder", data, got)
		}
		if n := len(placeholder.ReplaceAll(data, []byte(strings.ReplaceAll(value, "$", "$$")))); n != len(got) {
			t.Errorf("%q became %d bytes, want %d", data, len(got), n)
		}
	})
}
