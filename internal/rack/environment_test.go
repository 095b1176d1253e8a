package rack_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/rack"
)

func TestParseEnv(t *testing.T) {
	for _, test := range []struct {
		text string
		want map[string]string
	}{
		{"", map[string]string{}},
		{"FOO=1", map[string]string{"FOO": "1"}},
		{"FOO=1\nBAR=2\n", map[string]string{"FOO": "1", "BAR": "2"}},
		{"A=with=equals", map[string]string{"A": "with=equals"}},
		{"A=", map[string]string{"A": ""}},
		{" A =  spaced  ", map[string]string{"A": "  spaced  "}},
		{`A="quoted"`, map[string]string{"A": `"quoted"`}},
		{"A=1\r\nB=2\r\n", map[string]string{"A": "1", "B": "2"}},
		{"A=1\rB=2", map[string]string{"A": "1\rB=2"}},
		{"no equals\n=no name\n  =\n\nA=1", map[string]string{"A": "1"}},
		{"A=1\nA=2", map[string]string{"A": "2"}},
	} {
		if d := cmp.Diff(test.want, rack.ParseEnv(test.text)); d != "" {
			t.Errorf("%q (-want +got):\n%s", test.text, d)
		}
	}
}

func TestFormatEnv(t *testing.T) {
	for _, test := range []struct {
		env  map[string]string
		want string
	}{
		{nil, ""},
		{map[string]string{"B": "2", "A": "1"}, "A=1\nB=2"},
		{map[string]string{"FOO1": "a", "FOO": "b", "FOO_X": "c", "FOO-X": "d"}, "FOO=b\nFOO-X=d\nFOO1=a\nFOO_X=c"}, // by name, not by line
		{map[string]string{"A": ""}, "A="},
	} {
		if got := rack.FormatEnv(test.env); got != test.want {
			t.Errorf("%v: %q, want %q", test.env, got, test.want)
		}
	}
}

func TestCompareEnv(t *testing.T) {
	for _, test := range []struct{ from, to, want string }{
		{"BAR=2 FOO=1", "BAR=3 BAZ=4 FOO=1", "add:BAZ change:BAR"},
		{"", "B=1 A=1", "add:A add:B"},
		{"B=1 A=1", "", "remove:A remove:B"},
		{"A=1", "A=1", ""},
		{"A=1", "A=", "change:A"},
		{"A= Z=1 C=1", "A=1 B= C=2", "add:B change:A change:C remove:Z"},
	} {
		env := func(text string) map[string]string { return rack.ParseEnv(strings.ReplaceAll(text, " ", "\n")) }
		if got := rack.CompareEnv(env(test.from), env(test.to)).String(); got != test.want {
			t.Errorf("%q to %q: %q, want %q", test.from, test.to, got, test.want)
		}
	}
}

// FuzzEnv: an environment that was read comes out of its own text the same, and
// its text is what reading and writing leave alone.
func FuzzEnv(f *testing.F) {
	for _, seed := range []string{"", "FOO=1\nBAR=2", "A=1\r\nB=x=y\r\n", "\u00a0A\u2003= \r\r\n=", "A=1\nA=2\n\n B B =\x00\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		env := rack.ParseEnv(text)
		for name, value := range env {
			if name == "" || strings.TrimSpace(name) != name || strings.ContainsAny(name, "=\n") || strings.Contains(value, "\n") {
				t.Errorf("%q=%q", name, value)
			}
			if !strings.Contains(text, name) || !strings.Contains(text, value) {
				t.Errorf("%q=%q is not in the text", name, value)
			}
		}
		// A value may end in a carriage return, of which reading takes one off.
		for name, value := range env {
			env[name] = strings.TrimRight(value, "\r")
		}
		written := rack.FormatEnv(env)
		if d := cmp.Diff(env, rack.ParseEnv(written)); d != "" {
			t.Errorf("%q, written as %q (-want +got):\n%s", text, written, d)
		}
		if again := rack.FormatEnv(rack.ParseEnv(written)); again != written {
			t.Errorf("%q becomes %q", written, again)
		}
		if changes := rack.CompareEnv(env, rack.ParseEnv(written)); !changes.Empty() {
			t.Errorf("changes of nothing: %v", changes)
		}
	})
}
