package manifest_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/manifest"
)

func TestLimits(t *testing.T) {
	const (
		tooLarge  = "manifest is larger than 1048576 bytes"
		tooFilled = "manifest with its variables filled in is larger than 1048576 bytes"
		tooDeep   = "manifest is nested deeper than 100 levels"
		tooMany   = "manifest stands for more than 262144 values"
	)
	nested := func(n int) string { return "x: " + strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, tt := range []struct{ name, text, want string }{
		{"largest", strings.Repeat("#", 1<<20), ""},
		{"too large", strings.Repeat("#", 1<<20+1), tooLarge},
		{"filled to the limit", "#${BIG}" + strings.Repeat("#", 1<<20-1-1<<10), ""},
		{"filled over the limit", "#${BIG}" + strings.Repeat("#", 1<<20-1<<10), tooFilled},
		{"filled often", strings.Repeat("#${BIG}", 100_000), tooFilled},
		{"deepest", nested(99), ""},
		{"too deep", nested(100), tooDeep},
		{"far too deep", nested(9000), tooDeep},
		{"too deep by aliases", chain(100), tooDeep},
		{"deepest by aliases", chain(98), ""},
		{"most values", "services: {a: {environment: [" + strings.Repeat("A=,", 1<<18-3) + "]}}", ""},
		{"one value more", "services: {a: {environment: [" + strings.Repeat("A=,", 1<<18-2) + "]}}", tooMany},
		{"empty lists", "x: &x [" + strings.Repeat("[],", 1000) + "]\ny: &y {environment: *x}\nservices:\n" + strings.ReplaceAll(services(1000), ":", ": *y"), tooMany},
		{"unused bomb", bomb("x: &x0 [A=1]\n", "[*, *]") + "services: {a: }", ""},
		{"merge bomb", bomb("x: &x0 {image: i}\n", "{<<: [*, *]}") + "services: {a: *x40}", tooMany},
		{"empty merge bomb", bomb("x: &x0 {}\n", "{<<: [*, *]}") + "services: {a: *x40}", tooMany},
		{"same list often", "x: &x [" + strings.Repeat("A=1,", 1000) + "]\nservices: {a: {environment: [" + strings.Repeat("*x,", 1000) + "]}}", tooMany},
		{"global list often", "environment: [" + strings.Repeat("A=1,", 1000) + "]\nservices:\n" + services(1000), tooMany},
		{"same arguments often", "x: &x {args: [" + strings.Repeat("A,", 1000) + "]}\ny: &y {build: *x}\nservices:\n" + strings.ReplaceAll(services(1000), ":", ": *y"), tooMany},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := manifest.Load([]byte(tt.text), map[string]string{"BIG": strings.Repeat("b", 1<<10)})
			if got := fmt.Sprint(err); got != tt.want && (err != nil || tt.want != "") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// chain returns n lists of which each holds the one before.
func chain(n int) string {
	var b strings.Builder
	b.WriteString("x: &x0 []\n")
	for i := range n {
		fmt.Fprintf(&b, "x%d: &x%[1]d [*x%d]\n", i+1, i)
	}
	return b.String()
}

// bomb returns first and 40 lines by the pattern step, in which * is the line before.
func bomb(first, step string) string {
	var b strings.Builder
	b.WriteString(first)
	for i := range 40 {
		before := fmt.Sprintf("*x%d", i)
		fmt.Fprintf(&b, "x%d: &x%[1]d %s\n", i+1, strings.ReplaceAll(step, "*", before))
	}
	return b.String()
}

func services(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  s%d:\n", i)
	}
	return b.String()
}

// FuzzLoad holds, for any bytes and any one variable: no panic and no hang (which
// the time-out of the test reports); an
// error has a message and a manifest keeps the package's promises; and Inspect,
// which does not know the variable, never contradicts Load for certain.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"services:\n  web:\n    build: ${A}\n    environment: [A, B=1, '*']\n",
		"environment: &e [A=1]\nx: &x {image: i, <<: {build: .}}\nservices:\n  a: *x\n  b: {<<: [*x], environment: [*e]}\n",
		"services: {a: {build: {path: 6.0, manifest: 0x10, args: [yes, ~]}}}\nresources: {db: {type: redis}}\n",
		"services: {1: , ~: , 6.0: , a: 5, a: }", "a: &a [*a]", "services:\n  web:\n   build: x\n  - y\n", "%YAML 1.1\n---\n!!map {? a : b}\n...\n---\n",
	} {
		f.Add([]byte(seed), "A", "x")
	}
	name := regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	f.Fuzz(func(t *testing.T, data []byte, variable, value string) {
		env := map[string]string{variable: value}
		m, err := manifest.Load(data, env)
		_, inspected := manifest.Inspect(data)
		if err != nil {
			if m != nil || err.Error() == "" || err.(*manifest.Error).Unsure {
				t.Errorf("got %+v, %+v", m, err)
			}
			return
		}
		if inspected != nil && !inspected.(*manifest.Error).Unsure {
			t.Errorf("Load accepts what Inspect refuses: %v", inspected)
		}
		seen, entries := map[string]bool{}, 0
		for _, s := range m.Services {
			built := s.Build.Path != "" && s.Build.Manifest != ""
			if !name.MatchString(s.Name) || seen[s.Name] || built == (s.Image != "") || s.Line < 1 || s.Column < 1 {
				t.Errorf("service %+v", s)
			}
			seen[s.Name] = true
			entries += len(s.Environment)
			for _, e := range s.Environment {
				if _, set := env[e]; !set && e != "*" && !strings.Contains(e, "=") {
					t.Errorf("%s requires %q, which is not set", s.Name, e)
				}
			}
		}
		if entries > 1<<18 || len(m.Dockerfiles()) > len(m.Services) {
			t.Errorf("%d entries, Dockerfiles %q", entries, m.Dockerfiles())
		}
	})
}
