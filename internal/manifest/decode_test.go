package manifest_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/manifest"
)

// load1 returns the only service of text.
func load1(t *testing.T, text string) manifest.Service {
	t.Helper()
	m, err := manifest.Load([]byte(text), map[string]string{"A": "aval", "TWO": "[x, z]", "LINES": "i\n    build: late", "D": ""})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if len(m.Services) != 1 {
		t.Fatalf("%s: %d services, want 1", text, len(m.Services))
	}
	return m.Services[0]
}

func TestScalarsBecomeText(t *testing.T) {
	for written, want := range map[string]string{
		"6.0": "6", "7.10": "7.1", "1.": "1.", ".5": "0.5", "-.5": "-0.5", "-0.0": "-0", "1_0.5": "10.5",
		"yes": "true", "No": "false", "on": "true", "OFF": "false", "y": "true", "N": "false", "True": "true", "tRUE": "tRUE",
		"0777": "511", "0o17": "15", "0x10": "16", "0b11": "3", "-0b11": "-3", "1_000": "1000", "+5": "5", "08": "8", "0123456789": "1.23456789e+08",
		"18446744073709551615": "18446744073709551615", "100000000000000000000": "1e+20", "1e999": "1e999",
		"1e3": "1e3", "12e5": "12e5", "1e+3": "1000", "1.5E-3": "0.0015",
		".inf": ".inf", "+.Inf": ".inf", "-.INF": "-.inf", ".NaN": ".nan", ".x": ".x", "-x": "-x",
		"2001-01-01": "2001-01-01", "1:30": "1:30", "a/b:1.0": "a/b:1.0", "=": "=", "<<": "<<",
		`'6.0'`: "6.0", `"yes"`: "yes", `'null'`: "null", "!!str 6.0": "6.0", `!!float "6.0"`: "6", `!!int "0x10"`: "16", "!mine 6.0": "6.0",
		"|-\n      6.0": "6.0", ">-\n      a\n      b": "a b", "${A}": "aval", "'${A}'": "aval", "6.${NONE}0": "6",
	} {
		text := "services:\n  web:\n    image: " + written + "\n"
		if s := load1(t, text); s.Image != want {
			t.Errorf("%s became %q, want %q", written, s.Image, want)
		}
	}
}

func TestBuild(t *testing.T) {
	for _, tt := range []struct {
		name, service string
		want          manifest.Build
	}{
		{"absent", "", manifest.Build{Path: ".", Manifest: "Dockerfile"}},
		{"null", "{build: ~}", manifest.Build{Path: ".", Manifest: "Dockerfile"}},
		{"empty", "{build: ''}", manifest.Build{Path: ".", Manifest: "Dockerfile"}},
		{"undefined", "{build: ${NONE}}", manifest.Build{Path: ".", Manifest: "Dockerfile"}},
		{"undefined image", "{image: ${NONE}}", manifest.Build{Path: ".", Manifest: "Dockerfile"}},
		{"short", "{build: ./web}", manifest.Build{Path: "./web", Manifest: "Dockerfile"}},
		{"date", "{build: 2001-01-01}", manifest.Build{Path: "2001-01-01", Manifest: "Dockerfile"}},
		{"long", "{build: {path: web, manifest: D}}", manifest.Build{Path: "web", Manifest: "D"}},
		{"long empty", "{build: {}}", manifest.Build{Path: ".", Manifest: "Dockerfile"}},
		{"nulls", "{build: {path: , manifest: ~, args: }}", manifest.Build{Path: ".", Manifest: "Dockerfile"}},
		{"numbers", "{build: {path: 0x10, manifest: 6.0, args: [6.0, yes, null, '6.0']}}", manifest.Build{Path: "16", Manifest: "6", Args: []string{"6", "true", "", "6.0"}}},
		{"only a manifest", "{build: {manifest: D, dockerfile: no}}", manifest.Build{Path: ".", Manifest: "D"}},
		{"the image wins", "{image: i, build: {path: web, args: [a]}}", manifest.Build{}},
		{"written twice", "{build: {path: a, args: [x], path: b}, build: {path: c, path: d}}", manifest.Build{Path: "d", Manifest: "Dockerfile"}},
		{"a value with structure", "{build: {args: ${TWO}}}", manifest.Build{Path: ".", Manifest: "Dockerfile", Args: []string{"x", "z"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := load1(t, "services:\n  web: "+tt.service+"\n")
			if diff := cmp.Diff(tt.want, s.Build); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEnvironment(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"grammar", "services: {w: {environment: [A, B=1, C=, D=e=f, '*']}}", []string{"A", "B=1", "C=", "D=e=f", "*"}},
		{"what is not text is dropped", "services: {w: {environment: [6, 6.5, yes, ~, {B: 1}, 'B=1', 2001=1, '7=']}}", []string{"B=1", "2001=1", "7="}},
		{"one level is flattened", "x: &x [B=1, 5, [C=1], D=1]\nservices: {w: {environment: [*x, E=1, [F=1]]}}", []string{"B=1", "D=1", "E=1", "F=1"}},
		{"aliases", "x: &x [B=1]\nv: &v C=1\nenvironment: *x\nservices: {w: {environment: [[*v], *v]}}", []string{"B=1", "C=1", "C=1"}},
		{"null", "environment: ~\nservices: {w: {environment: }}", nil},
		{"empty", "environment: []\nservices: {w: {environment: []}}", nil},
		{"global after services", "services: {w: {environment: [C=1]}}\nenvironment: [B=1]", []string{"B=1", "C=1"}},
		{"written twice", "services: {w: {environment: [B=1], environment: [C=1]}}", []string{"B=1", "C=1"}},
		{"merged before", "x: &x {environment: [B=1, D]}\nservices: {w: {<<: *x, environment: [C=1]}}", []string{"B=1", "D", "C=1"}},
		{"merged after", "x: &x {environment: [B=1]}\nservices: {w: {environment: [C=1], '<<': *x}}", []string{"C=1", "B=1"}},
		{"written twice and null", "services: {w: {environment: [B=1], environment: ~}}", []string{"B=1"}},
		{"global twice", "environment: [B=1]\nservices: {w: {environment: [D=1]}}\nenvironment: [C=1]", []string{"B=1", "C=1", "D=1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, load1(t, tt.text).Environment); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMerge(t *testing.T) {
	const anchors = "x: &x {image: x, build: ./x}\nv: &v {image: v, environment: [V=1]}\nz: &z {<<: *v, build: ./z}\n"
	for _, tt := range []struct{ name, text, image string }{
		{"keys after it override", "services: {w: {<<: *x, image: own}}", "own"},
		{"keys before it are overridden", "services: {w: {image: own, <<: *x}}", "x"},
		{"quoted", "services: {w: {image: own, '<<': *x}}", "x"},
		{"in place", "services: {w: {<<: {image: there}}}", "there"},
		{"first of a list wins", "services: {w: {<<: [*x, *v]}}", "x"},
		{"a list in reverse", "services: {w: {<<: [*v, *x]}}", "v"},
		{"two", "services: {w: {<<: *x, <<: *v}}", "v"},
		{"nested", "services: {w: {<<: *z}}", "v"},
		{"services", "s: &s {w: *x}\nservices: {<<: *s}", "x"},
		{"top", "t: &t {services: {w: *v}}\n<<: *t", "v"},
		{"top is positional too", "t: &t {services: {w: *v}}\nservices: {w: *x}\n<<: *t", "v"},
		{"top quoted is an unknown key", "t: &t {services: {w: *v}}\nservices: {w: *x}\n'<<': *t", "x"},
		{"alias of a service", "services: {w: *x}", "x"},
		{"alias as a key", "k: &k image\nservices: {w: {*k : own}}", "own"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := load1(t, anchors+tt.text).Image; got != tt.image {
				t.Errorf("image %q, want %q", got, tt.image)
			}
		})
	}
	t.Run("build", func(t *testing.T) {
		for _, key := range []string{"<<", "'<<'"} {
			s := load1(t, "b: &b {path: p, manifest: m}\nservices: {w: {build: {"+key+": *b, manifest: own}}}")
			if want := (manifest.Build{Path: "p", Manifest: "own"}); !cmp.Equal(want, s.Build) {
				t.Errorf("%s: got %+v, want %+v", key, s.Build, want)
			}
		}
	})
	t.Run("resource", func(t *testing.T) {
		m, err := manifest.Load([]byte("r: &r {type: redis}\nresources: {a: {<<: *r}, b: {'<<': *r}, 3: *r}"), nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, name := range []string{"a", "b", "3"} {
			if got := m.Resources[i]; got.Name != name || got.Type != "redis" {
				t.Errorf("got %+v, want a redis named %s", got, name)
			}
		}
	})
}

// TestPositionAfterValue: what a variable brings does not move what follows it.
func TestPositionAfterValue(t *testing.T) {
	env := map[string]string{"V": "a\n# b", "NAME": "web", "SERVICE": "web:\n    image: a\n  worker", "E": "é"}
	type place struct{ line, column int }
	for _, tt := range []struct {
		text string
		want []place
	}{
		{"# ${V}\nservices:\n  web:\n", []place{{3, 3}}},
		{"services:\n  ${NONE}web:\n  x: {image: '${V}'}\n  z:\n", []place{{2, 3}, {3, 3}, {4, 3}}},
		{"services: {${NAME}: , ${NAME}1: , x: }", []place{{1, 12}, {1, 23}, {1, 35}}},
		{"services:\n  ${SERVICE}:\n  x:\n", []place{{2, 3}, {2, 3}, {3, 3}}},
		{"services: {a: {test: é${E}é}, b: }", []place{{1, 12}, {1, 31}}},
		{"\uFEFFservices: {a: , b: }", []place{{1, 12}, {1, 17}}},
		{"services:\r\n  a:\r\n  b: # ${V}\r\n  c:\r\n", []place{{2, 3}, {3, 3}, {4, 3}}},
		{"services: {a: {test: \"x\u2028y\"}, b: }", []place{{1, 12}, {1, 30}}},
	} {
		m, err := manifest.Load([]byte(tt.text), env)
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		var got []place
		for _, s := range m.Services {
			got = append(got, place{s.Line, s.Column})
		}
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(place{})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.text, diff)
		}
	}
}
