package manifest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/manifest"
)

// said are faults as a person reads them.
func said(faults []*manifest.Error) string {
	var lines []string
	for _, e := range faults {
		lines = append(lines, fmt.Sprintf("%d:%d %s", e.Line, e.Column, e.Message))
	}
	return strings.Join(lines, "\n")
}

func TestExamine(t *testing.T) {
	env := map[string]string{"SET": "s3cret", "NAME": "Hidden", "LIST": "- A\n  - B", "KNOWN": "web"}
	for _, test := range []struct{ name, text, want string }{
		{"good", "services:\n  web: {environment: [SET, A=1, '*']}", ""},
		{"every service that lacks some", "environment: [G]\nservices:\n  a: {environment: [SET, F]}\n  b: {}\n",
			"3:3 required env: F, G\n4:3 required env: G"},
		{"and a wrong name", "services:\n  a: {environment: [F]}\n  B: {}\n",
			"2:3 required env: F\n3:3 service name B invalid, must contain only lowercase alphanumeric and dashes"},
		{"every value of a wrong type", "services:\n  web:\n    build:\n      path: [a]\n      manifest: {b: c}\n",
			"4:13 cannot unmarshal !!seq into string\n5:17 cannot unmarshal !!map into string"},
		{"syntax", "services: [", "1:0 yaml: line 1: did not find expected node content"},
		{"a value is not shown", "services:\n  ${NAME}: {}\n", "2:3 service name ... invalid, must contain only lowercase alphanumeric and dashes"},
		{"nor one that is required", "services:\n  a: {environment: ['X${SET}']}\n", "2:3 required env: X..."},
		{"but what the file holds itself", "services:\n  web: {environment: ['${KNOWN}']}\n", "2:3 required env: web"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, faults := manifest.Examine([]byte(test.text), env)
			if diff := cmp.Diff(test.want, said(faults)); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
			_, err := manifest.Load([]byte(test.text), env)
			if (err == nil) != (len(faults) == 0) {
				t.Errorf("Load = %v, Examine found %d", err, len(faults))
			}
			if m == nil && err == nil {
				t.Error("no manifest")
			}
		})
	}
}

func TestPartsOfWhatIsNotSure(t *testing.T) {
	_, err := manifest.Inspect([]byte("# ${X}\nservices:\n  a: {image: [b]}\n  c: {image: [d]}\n"))
	var e *manifest.Error
	if !errors.As(err, &e) || len(e.Parts()) != 2 || !e.Parts()[0].Unsure || !e.Parts()[1].Unsure || e.Parts()[1].Line != 4 {
		t.Errorf("Inspect = %v", err)
	}
}

func TestVariables(t *testing.T) {
	got := manifest.Variables([]byte("${A} $B $${C} ${A} ${D:-e}"))
	if diff := cmp.Diff([]string{"A", "C", "D:-e"}, got); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
}

func TestRequired(t *testing.T) {
	m, err := manifest.Inspect([]byte("environment: [G, '*']\nservices:\n  a: {environment: [F, E=1]}\n  b: {environment: [A]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"A", "F", "G"}, m.Required()); diff != "" {
		t.Errorf("required (-want +got):\n%s", diff)
	}
}

// FuzzExamine: what Load accepts has no faults, what it refuses has some, and no
// value that only a variable holds is shown.
func FuzzExamine(f *testing.F) {
	for _, seed := range []string{
		"services:\n  a: {environment: [F, '${SECRET}']}", "services: {'${SECRET}': }", "resources:\n  ${SECRET}: {type: }",
		"services:\n  a:\n    build: {path: [1, 2], manifest: {a: b}}", "${SECRET}", "services: [", "a: *${SECRET}", "x: &x [*x]",
	} {
		f.Add(seed)
	}
	const secret = "Kq7-zW9"
	f.Fuzz(func(t *testing.T, text string) {
		env := map[string]string{"SECRET": secret}
		_, loadErr := manifest.Load([]byte(text), env)
		m, faults := manifest.Examine([]byte(text), env)
		if (loadErr == nil) != (len(faults) == 0) || loadErr == nil && m == nil {
			t.Errorf("Load = %v, Examine = %v, %s", loadErr, m, said(faults))
		}
		if strings.Contains(said(faults), secret) && !strings.Contains(text, secret) {
			t.Errorf("shown: %s", said(faults))
		}
	})
}
