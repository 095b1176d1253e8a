package rackd

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNewIDs(t *testing.T) {
	form := regexp.MustCompile(`^B[A-Z]{10}$`)
	seen, letters := map[string]bool{}, map[rune]int{}
	const ids = 40_000
	for range ids {
		id := newID("B")
		if !form.MatchString(id) || seen[id] {
			t.Fatalf("id is %q, seen: %v", id, seen[id])
		}
		seen[id] = true
		for _, c := range id[1:] {
			letters[c]++
		}
	}
	for c := 'A'; c <= 'Z'; c++ { // each is expected 15385 times, with a deviation of 122
		if n := letters[c]; n < 14_700 || n > 16_100 {
			t.Errorf("%c came %d times", c, n)
		}
	}
}

func TestNow(t *testing.T) {
	if at := now(); at.Location() != time.UTC || at != at.Round(0) || time.Since(at) > time.Minute {
		t.Errorf("now is %v", at)
	}
}

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
		if d := cmp.Diff(test.want, parseEnv(test.text)); d != "" {
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
		if got := formatEnv(test.env); got != test.want {
			t.Errorf("%v: %q, want %q", test.env, got, test.want)
		}
	}
}

func TestEnvChanges(t *testing.T) {
	for _, test := range []struct{ from, to, want string }{
		{"BAR=2 FOO=1", "BAR=3 BAZ=4 FOO=1", "add:BAZ change:BAR"},
		{"", "B=1 A=1", "add:A add:B"},
		{"B=1 A=1", "", "remove:A remove:B"},
		{"A=1", "A=1", ""},
		{"A=1", "A=", "change:A"},
		{"A= Z=1 C=1", "A=1 B= C=2", "add:B change:A change:C remove:Z"},
	} {
		env := func(text string) map[string]string { return parseEnv(strings.ReplaceAll(text, " ", "\n")) }
		if got := envChanges(env(test.from), env(test.to)); got != test.want {
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
		env := parseEnv(text)
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
		written := formatEnv(env)
		if d := cmp.Diff(env, parseEnv(written)); d != "" {
			t.Errorf("%q, written as %q (-want +got):\n%s", text, written, d)
		}
		if again := formatEnv(parseEnv(written)); again != written {
			t.Errorf("%q becomes %q", written, again)
		}
		if changes := envChanges(env, parseEnv(written)); changes != "" {
			t.Errorf("changes of nothing: %q", changes)
		}
	})
}

func TestBuildArgs(t *testing.T) {
	for _, test := range []struct {
		values []string
		want   []string
		fault  bool
	}{
		{nil, nil, false},
		{[]string{"A=1"}, []string{"A=1"}, false},
		{[]string{"A=1,B=two words,C="}, []string{"A=1", "B=two words", "C="}, false},
		{[]string{"A=1,2,3"}, []string{"A=1,2,3"}, false},
		{[]string{"A=1,,B=2"}, []string{"A=1,", "B=2"}, false},
		{[]string{"A=1,=2"}, []string{"A=1,=2"}, false},
		{[]string{"A=x,y=z"}, []string{"A=x", "y=z"}, false}, // as a rack must take it
		{[]string{"A=1", "B=2,3"}, []string{"A=1", "B=2,3"}, false},
		{[]string{"A=line\nB=not an argument"}, []string{"A=line\nB=not an argument"}, false},
		{[]string{""}, nil, true},
		{[]string{"KEY"}, nil, true},
		{[]string{"=1"}, nil, true},
		{[]string{",A=1"}, nil, true},
		{[]string{"A=1", "KEY"}, nil, true},
	} {
		got, err := buildArgs(url.Values{"build-args": test.values})
		if !slices.Equal(got, test.want) || (err != nil) != test.fault {
			t.Errorf("%q: %q, %v", test.values, got, err)
		}
	}
}

// FuzzBuildArgs: every argument has a name, and none of the text is lost.
func FuzzBuildArgs(f *testing.F) {
	for _, seed := range []string{"", "A=1", "A=1,B=x,y", "KEY", "=1,A=2", "A=1,=,,B==\n,"} {
		f.Add(seed, "C=3")
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		args, err := buildArgs(url.Values{"build-args": {one, two}})
		if err != nil {
			if args != nil || statusOf(err) != 500 {
				t.Errorf("%q and %v (%d)", args, err, statusOf(err))
			}
			return
		}
		for _, arg := range args {
			if strings.Index(arg, "=") < 1 {
				t.Errorf("argument %q", arg)
			}
		}
		if got := strings.Join(args, ","); got != one+","+two {
			t.Errorf("%q and %q became %q", one, two, args)
		}
	})
}

func TestParseObjectURL(t *testing.T) {
	for _, test := range []struct {
		url, app, key string
		ok            bool
	}{
		{"object://web/tmp/a.tgz", "web", "tmp/a.tgz", true},
		{"object://web//tmp/a.tgz", "web", "tmp/a.tgz", true},
		{"object://web/a?b#c%20d", "web", "a?b#c%20d", true},
		{"object://web/", "web", "", false},
		{"object://web//", "web", "", false},
		{"object://web", "web", "", false},
		{"object:///a", "", "a", false},
		{"object:/web/a", "", "", false},
		{"https://web/a", "", "", false},
		{"OBJECT://web/a", "", "", false},
		{"", "", "", false},
	} {
		app, key, ok := parseObjectURL(test.url)
		if ok != test.ok || ok && (app != test.app || key != test.key) {
			t.Errorf("%q: %q, %q, %v", test.url, app, key, ok)
		}
	}
}

// FuzzObjectURL: what is taken apart can be put together again, and nothing is
// read into what is no URL of an object.
func FuzzObjectURL(f *testing.F) {
	for _, seed := range []string{"object://web/tmp/a.tgz", "object://web//a/", "object:///", "https://web/a", "object://../../a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, u string) {
		app, key, ok := parseObjectURL(u)
		if !ok {
			if strings.HasPrefix(u, "object://w/k") {
				t.Errorf("%q was refused", u)
			}
			return
		}
		if app == "" || strings.Contains(app, "/") || key == "" || strings.HasPrefix(key, "/") {
			t.Errorf("%q: %q and %q", u, app, key)
		}
		if rest, ok := strings.CutPrefix(u, "object://"+app+"/"); !ok || strings.TrimLeft(rest, "/") != key {
			t.Errorf("%q: %q and %q", u, app, key)
		}
		again, sameKey, ok := parseObjectURL(objectURL(app, key))
		if again != app || sameKey != key || !ok {
			t.Errorf("%q and %q became %q and %q", app, key, again, sameKey)
		}
	})
}

func TestReason(t *testing.T) {
	for _, n := range []int{0, 1, maxReason - 1, maxReason, maxReason + 1, 10 * maxReason} {
		text := strings.Repeat("世", n/3) + strings.Repeat("x", n%3)
		got := reason(&textError{text})
		if n <= maxReason && got != text || len(got) > maxReason+len("…") || !strings.HasPrefix(text, strings.TrimSuffix(got, "…")) {
			t.Errorf("reason of %d bytes has %d: %.40s", n, len(got), got)
		}
	}
}

type textError struct{ text string }

func (e *textError) Error() string { return e.text }
