package rackd

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
)

func TestNewIDs(t *testing.T) {
	form := regexp.MustCompile(`^B[A-Z]{10}$`)
	seen, letters := map[string]bool{}, map[rune]int{}
	const ids = 40_000
	for range ids {
		id := rack.NewID("B")
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
