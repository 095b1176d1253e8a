package manifest_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

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
		{"a hundred megabytes", strings.Repeat("#", 100<<20), tooLarge},
		{"nested without end", strings.Repeat("[", 1<<20), "yaml: exceeded max depth of 10000"},
		{"maps nested without end", "services: " + strings.Repeat("{a: ", 1<<18-3), "yaml: exceeded max depth of 10000"},
		{"same domains often", "x: &x {domain: '" + strings.Repeat("a,", 1000) + "'}\nservices:\n" + strings.ReplaceAll(services(1000), ":", ": *x"), tooMany},
		{"same words often", "x: &x {command: [" + strings.Repeat("a,", 1000) + "]}\nservices:\n" + strings.ReplaceAll(services(1000), ":", ": *x"), tooMany},
		{"same listeners often", "x: &x {nlb: [" + strings.Repeat("{},", 1000) + "]}\nservices:\n" + strings.ReplaceAll(services(1000), ":", ": *x"), tooMany},
		{"same ports often", "x: &x {agent: {ports: [" + strings.Repeat("1,", 1000) + "]}}\nservices:\n" + strings.ReplaceAll(services(1000), ":", ": *x"), tooMany},
		{"same tags often", "x: &x {tags: {" + strings.Repeat("a: ,", 1000) + "}}\nservices:\n" + strings.ReplaceAll(services(1000), ":", ": *x"), tooMany},
		{"shown bomb", bomb("x: &x0 [A]\n", "[*, *]") + "services: {a: {agent: *x40}}", "could not parse agent: " + strings.Repeat("[", 40) + "[A]"},
		{"unused bomb", bomb("x: &x0 [A=1]\n", "[*, *]") + "services: {a: }", ""},
		{"merge bomb", bomb("x: &x0 {image: i}\n", "{<<: [*, *]}") + "services: {a: *x40}", tooMany},
		{"empty merge bomb", bomb("x: &x0 {}\n", "{<<: [*, *]}") + "services: {a: *x40}", tooMany},
		{"same list often", "x: &x [" + strings.Repeat("A=1,", 1000) + "]\nservices: {a: {environment: [" + strings.Repeat("*x,", 1000) + "]}}", tooMany},
		{"global list often", "environment: [" + strings.Repeat("A=1,", 1000) + "]\nservices:\n" + services(1000), tooMany},
		{"same arguments often", "x: &x {args: [" + strings.Repeat("A,", 1000) + "]}\ny: &y {build: *x}\nservices:\n" + strings.ReplaceAll(services(1000), ":", ": *y"), tooMany},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := manifest.Load([]byte(tt.text), map[string]string{"BIG": strings.Repeat("b", 1<<10)})
			got := fmt.Sprint(err)
			if strings.HasPrefix(tt.name, "shown") { // only how it begins
				got = got[:min(len(got), len(tt.want))]
			}
			if got != tt.want && (err != nil || tt.want != "") {
				t.Errorf("got %.300q, want %q", got, tt.want)
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

// TestMessagesAreShort: however much a fault is about, and however often, a message
// is one for a log.
func TestMessagesAreShort(t *testing.T) {
	const most = 100 << 10
	big := strings.Repeat("A", 300_000)
	for name, text := range map[string]string{
		"required":   "x: &x " + big + "\ny: &y [" + strings.Repeat("*x,", 10_000) + "]\nservices: {a: {environment: *y}}",
		"shown":      "x: &x " + big + "\nservices: {a: {agent: [" + strings.Repeat("*x,", 10_000) + "]}}",
		"shown map":  "x: &x " + big + "\nservices: {a: {port: {a: *x, b: *x, port: [*x, {*x : *x}]}}}",
		"number":     "services: {a: {port: " + big + "}}",
		"mismatches": "x: &x " + big + "\nservices: {a: {links: [" + strings.Repeat("[],", 10_000) + "], tags: *x, drain: *x}}",
	} {
		_, err := manifest.Load([]byte(text), nil)
		if err == nil || len(err.Error()) > most {
			t.Errorf("%s: %.100v", name, err)
		}
	}
}

// FuzzLoad holds, for any bytes and any one variable: no panic and no hang (which
// the time-out of the test reports); reading twice gives the same; an error has a
// message, not a long one, and stands in the file; a manifest keeps the package's
// promises; and Inspect, which does not know the variable, never contradicts Load
// for certain.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"services:\n  web:\n    build: ${A}\n    environment: [A, B=1, '*']\n",
		"environment: &e [A=1]\nx: &x {image: i, <<: {build: .}}\nservices:\n  a: *x\n  b: {<<: [*x], environment: [*e]}\n",
		"services: {a: {build: {path: 6.0, manifest: 0x10, args: [yes, ~]}}}\nresources: {db: {type: redis}}\n",
		"services: {1: , ~: , 6.0: , a: 5, a: }", "a: &a [*a]", "services:\n  web:\n   build: x\n  - y\n", "%YAML 1.1\n---\n!!map {? a : b}\n...\n---\n",
		"services: {a: {health: {path: /, grace: 1}, port: {port: 'https:1'}, scale: {count: 1-2, cooldown: {up: '1'}, targets: {custom: {a/b: {value: 1.5}}}}}}",
		"services: {a: {nlb: [{port: 1, allow_cidr: [10.0.0.0/8]}], domain: 'a,b', agent: {ports: [1/udp]}, deployment: {minimum: 1}, termination: {grace: 0}}}",
		"params: {A: yes}\ntimers: {t: {command: a, schedule: b, policies: [c]}}\nservices: {a: {tags: {b: c}, sticky: no, agent: [${A}]}}",
		"\uFEFF# ${A}\r\nservices: {\"${A}\u2028\": [${A}], é${A}: x}",
	} {
		f.Add([]byte(seed), "A", "x")
		f.Add([]byte(seed), "A", "x\n\ny: z")
	}
	f.Fuzz(func(t *testing.T, data []byte, variable, value string) {
		env := map[string]string{variable: value}
		m, err := manifest.Load(data, env)
		again, errAgain := manifest.Load(data, env)
		if !cmp.Equal(m, again, cmpopts.EquateNaNs()) || fmt.Sprint(err) != fmt.Sprint(errAgain) {
			t.Errorf("read twice: %+v, %v and %+v, %v", m, err, again, errAgain)
		}
		_, inspected := manifest.Inspect(data)
		checkPlaces(t, data, inspected)
		checkPlaces(t, data, err)
		switch {
		case err != nil && (m != nil || err.(*manifest.Error).Unsure):
			t.Errorf("got %+v, %+v", m, err)
		case err == nil && inspected != nil && !inspected.(*manifest.Error).Unsure:
			t.Errorf("Load accepts what Inspect refuses: %v", inspected)
		case err == nil:
			checkPromises(t, m, env)
			_ = m.CheckPromotion()
		}
	})
}

// checkPlaces holds the parts of an error to stand in the file and to say something.
func checkPlaces(t *testing.T, data []byte, err error) {
	t.Helper()
	if err == nil {
		return
	}
	lines := strings.Split(string(data), "\n")
	for _, e := range err.(*manifest.Error).Parts() {
		if e.Message == "" || e.Line < 0 || e.Line > len(lines) || e.Column < 0 || e.Column > 0 && e.Line == 0 {
			t.Errorf("%d:%d %q in %d lines", e.Line, e.Column, e.Message, len(lines))
			continue
		}
		if e.Column > 0 && e.Column > utf8.RuneCountInString(lines[e.Line-1])+1 {
			t.Errorf("%d:%d %q in the line %q", e.Line, e.Column, e.Message, lines[e.Line-1])
		}
	}
}

var serviceName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// checkPromises holds a manifest to what its comments say.
func checkPromises(t *testing.T, m *manifest.Manifest, env map[string]string) {
	t.Helper()
	seen, entries := map[string]bool{}, 0
	for _, s := range m.Services {
		built := s.Build.Path != "" && s.Build.Manifest != ""
		if !serviceName.MatchString(s.Name) || seen[s.Name] || built == (s.Image != "") || s.Line < 1 || s.Column < 1 {
			t.Errorf("service %+v", s)
		}
		if s.Health.Path == "" || s.Health.Interval == 0 || s.Drain == 0 || s.Scale.CPU == 0 || s.Scale.Memory == 0 || s.InternalAndExternal && !s.Internal {
			t.Errorf("service %s lacks a default: %+v", s.Name, s)
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
}
