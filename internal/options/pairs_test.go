package options_test

import (
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/google/go-cmp/cmp"
)

func TestParsePairs(t *testing.T) {
	tests := []struct {
		name, text string
		want       options.Pairs
	}{
		{"none", " \n\r\n", nil},
		{"lines", "A=1,2\r\n\n  B=x=y \nC=", options.Pairs{{Key: "A", Value: "1,2"}, {Key: "B", Value: "x=y"}, {Key: "C"}}},
		{"from the environment", "TOKEN\n", options.Pairs{{Key: "TOKEN", FromEnv: true}}},
		{"quotes inside stay", `A="b" 'c'`, options.Pairs{{Key: "A", Value: `"b" 'c'`}}},
		{"several lines", " \"A=1\n2 \"\"x\"\"\n\" \nB=3", options.Pairs{{Key: "A", Value: "1\n2 \"x\"\n"}, {Key: "B", Value: "3"}}},
		{"quoted, one line", `"A=b,c"`, options.Pairs{{Key: "A", Value: "b,c"}}},
		{"quoted, blanks before the key", `" A=b "`, options.Pairs{{Key: "A", Value: "b "}}},
		{"last counts", "A=1\nB=2\nA=3", options.Pairs{{Key: "A", Value: "3"}, {Key: "B", Value: "2"}}},
		{"blanks in the value", "A= b", options.Pairs{{Key: "A", Value: " b"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := options.ParsePairs(test.text)
			if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

func TestParsePairsFaults(t *testing.T) {
	tests := map[string]string{
		"A=1\n=x":                "line 2 is not a pair",
		"a key=secret":           "line 1 is not a pair",
		"a key":                  "line 1 is not a pair",
		"A=1\n\"B=2\nC=3\nD E=4": "line 2 has a quote that is not closed; line 4 is not a pair",
		"\"A=1\n2\" x\nB C=3":    "line 1 has text after the closing quote; line 3 is not a pair",
		`"A"=b`:                  "line 1 has text after the closing quote",
	}
	for text, want := range tests {
		if got, err := options.ParsePairs(text); err == nil || err.Error() != want {
			t.Errorf("%q: %v, %v, want %s", text, got, err, want)
		}
	}
}

func TestPairsResolve(t *testing.T) {
	environ := map[string]string{"TOKEN": "t", "EMPTY": ""}
	lookup := func(key string) (string, bool) { v, ok := environ[key]; return v, ok }
	pairs, err := options.ParsePairs("A=1\nTOKEN\nEMPTY")
	if err != nil {
		t.Fatal(err)
	}
	got, err := pairs.Resolve("build-args", lookup)
	want := options.Pairs{{Key: "A", Value: "1"}, {Key: "TOKEN", Value: "t"}, {Key: "EMPTY"}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if !pairs[1].FromEnv {
		t.Error("resolving changed the original")
	}
	pairs, err = options.ParsePairs("ONE\nTOKEN\nTWO")
	if err != nil {
		t.Fatal(err)
	}
	_, err = pairs.Resolve("build-args", lookup)
	const missing = "build-args: \"ONE\" has no value and is not in the environment\nbuild-args: \"TWO\" has no value and is not in the environment"
	if err == nil || err.Error() != missing {
		t.Errorf("got %v", err)
	}
}

// format writes pairs so that ParsePairs reads them back.
func format(pairs options.Pairs) string {
	var b strings.Builder
	for _, p := range pairs {
		entry := p.Key + "=" + p.Value
		if p.FromEnv {
			entry = p.Key
		}
		if strings.Contains(entry, "\n") || strings.TrimSpace(entry) != entry {
			entry = `"` + strings.ReplaceAll(entry, `"`, `""`) + `"`
		}
		b.WriteString(entry + "\n")
	}
	return b.String()
}

// Any text is read or refused, without a panic; what was read has each key once,
// and reads back the same from its written form.
func FuzzPairs(f *testing.F) {
	f.Add("A=1,2\nB\n\"C=x\n\"\"y\"\"\n\"\nA=\n")
	f.Add("\"A=1\" x\n\"\"\n=\n\"")
	f.Add(" \"  K=\r\n\" \r\nK = v\n\u00a0K2=\u00a0")
	f.Fuzz(func(t *testing.T, text string) {
		pairs, err := options.ParsePairs(text)
		if err != nil {
			if pairs != nil {
				t.Errorf("error and %v", pairs)
			}
			return
		}
		seen := map[string]bool{}
		for _, p := range pairs {
			if p.Key == "" || seen[p.Key] {
				t.Errorf("key %q in %v", p.Key, pairs)
			}
			seen[p.Key] = true
		}
		again, err := options.ParsePairs(format(pairs))
		if diff := cmp.Diff(pairs, again); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	})
}
