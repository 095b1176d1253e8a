package manifest_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/convox-ci/convox-ci/internal/manifest"
)

func TestLoadWhole(t *testing.T) {
	const text = `# an app
environment:
  - GLOBAL=1
  - SECRET
resources:
  database:
    type: postgres
services:
  web:
    build: ./web
    environment:
      - OWN
      - GLOBAL=2
    ports: [ignored]
  worker:
    build:
      path: ${DIR}
      manifest: Dockerfile.worker
      args: [A=1, 6.0]
      dockerfile: ignored
  metrics:
    image: awesome/metrics:1.0
    build: ./ignored
unknown: {deep: [1, 2]}
---
services: ignored, as every document after the first
`
	got, err := manifest.Load([]byte(text), map[string]string{"SECRET": "s", "OWN": "", "DIR": "jobs"})
	if err != nil {
		t.Fatal(err)
	}
	want := &manifest.Manifest{
		Environment: []string{"GLOBAL=1", "SECRET"},
		Services: []manifest.Service{
			{
				Name: "web", Line: 9, Column: 3,
				Build:       manifest.Build{Path: "./web", Manifest: "Dockerfile"},
				Environment: []string{"GLOBAL=1", "SECRET", "OWN", "GLOBAL=2"},
			},
			{
				Name: "worker", Line: 15, Column: 3,
				Build:       manifest.Build{Path: "jobs", Manifest: "Dockerfile.worker", Args: []string{"A=1", "6"}},
				Environment: []string{"GLOBAL=1", "SECRET"},
			},
			{
				Name: "metrics", Line: 21, Column: 3, Image: "awesome/metrics:1.0",
				Environment: []string{"GLOBAL=1", "SECRET"},
			},
		},
		Resources: []manifest.Resource{{Name: "database", Type: "postgres", Line: 6, Column: 3}},
	}
	ordinary := cmpopts.IgnoreFields(manifest.Service{}, "Traffic", "Operation", "Container") // other tests hold those
	if diff := cmp.Diff(want, got, ordinary); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"web/Dockerfile", "jobs/Dockerfile.worker"}, got.Dockerfiles()); diff != "" {
		t.Error(diff)
	}
}

func TestDockerfiles(t *testing.T) {
	const text = "services:\n  a:\n  b: {build: .}\n  c: {build: {path: ./x/, manifest: ../D}}\n  d: {image: i}\n  e: {build: {path: ..}}\n"
	m, err := manifest.Load([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Dockerfile", "D", "../Dockerfile"}, m.Dockerfiles()); diff != "" {
		t.Error(diff)
	}
}

func TestLoadEmpty(t *testing.T) {
	for _, text := range []string{
		"", "\n", "# nothing\n", "---\n", "~", "{}", "services:", "services: {}", "services: []", "services: ${NONE}",
		"servicess: {web: }", "environment:\nresources:\n", "---\n---\nservices: {web: }\n",
	} {
		m, err := manifest.Load([]byte(text), nil)
		if err != nil || len(m.Services) != 0 {
			t.Errorf("%q: %+v, %v", text, m, err)
		}
		if err == nil && m.Dockerfiles() != nil {
			t.Errorf("%q: Dockerfiles %q", text, m.Dockerfiles())
		}
	}
}

// TestLoadDoesNotKeepEnv holds that the caller's map stays as it is and that
// two services do not share the memory of the global entries.
func TestLoadDoesNotKeepEnv(t *testing.T) {
	env := map[string]string{"A": "1", "UNUSED": "2"}
	m, err := manifest.Load([]byte("environment: [A, G=1, H=1]\nservices:\n  a: {environment: [X=1]}\n  b: {environment: [Y=1]}\n"), env)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"A": "1", "UNUSED": "2"}, env); diff != "" {
		t.Error(diff)
	}
	want := [][]string{{"A", "G=1", "H=1", "X=1"}, {"A", "G=1", "H=1", "Y=1"}}
	if diff := cmp.Diff(want, [][]string{m.Services[0].Environment, m.Services[1].Environment}); diff != "" {
		t.Error(diff)
	}
}

// fault is what a test expects of an error.
type fault struct {
	line, column int
	message      string
}

func checkFault(t *testing.T, err error, want fault) *manifest.Error {
	t.Helper()
	e, ok := errors.AsType[*manifest.Error](err)
	if !ok {
		t.Fatalf("error is %T %v, want *manifest.Error %q", err, err, want.message)
	}
	if got := (fault{e.Line, e.Column, e.Message}); got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if e.Error() != e.Message {
		t.Errorf("Error() is %q, want the bare message", e.Error())
	}
	return e
}

func TestErrorIn(t *testing.T) {
	for _, tt := range []struct {
		e    manifest.Error
		want string
	}{
		{manifest.Error{Line: 3, Column: 5, Message: "m"}, "convox.yml:3:5: m"},
		{manifest.Error{Line: 3, Message: "m"}, "convox.yml:3: m"},
		{manifest.Error{Message: "m"}, "convox.yml: m"},
	} {
		if got := tt.e.In("convox.yml"); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestInspect(t *testing.T) {
	t.Run("accepts what lacks its environment", func(t *testing.T) {
		const text = "environment: [A]\nservices:\n  web:\n    build: ${DIR}\n    environment: [B]\n"
		m, err := manifest.Inspect([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		want := []manifest.Service{{
			Name: "web", Build: manifest.Build{Path: ".", Manifest: "Dockerfile"}, Environment: []string{"A", "B"},
		}}
		if diff := cmp.Diff(want, m.Services, cmpopts.IgnoreFields(manifest.Service{}, "Line", "Column", "Traffic", "Operation", "Container")); diff != "" {
			t.Error(diff)
		}
	})
	for _, tt := range []struct {
		name, text string
		want       fault
		unsure     bool
	}{
		{"type", "services:\n  web:\n    build: 5\n", fault{3, 12, "unknown type for service build: int"}, false},
		{"type beside a variable", "services:\n  web:\n    build: 5\n    image: ${X}\n", fault{3, 12, "unknown type for service build: int"}, true},
		{"mismatch beside a variable", "services:\n  web: x\n# ${X}", fault{2, 8, "yaml: unmarshal errors:\n  line 2: cannot unmarshal !!str `x` into manifest.Service"}, true},
		{"syntax", "services: [", fault{1, 0, "yaml: line 1: did not find expected node content"}, false},
		{"syntax that a variable makes", "a${X}: [", fault{1, 0, "yaml: line 1: did not find expected node content"}, true},
		{"not a variable", "services:\n  Web: # ${X\n", fault{2, 3, "service name Web invalid, must contain only lowercase alphanumeric and dashes"}, false},
		{"name that a variable makes", "services: {'${X}1': }", fault{1, 12, "service name 1 invalid, must contain only lowercase alphanumeric and dashes"}, true},
		{"name used twice, which other racks accept", "services: {a: , b: , a: }", fault{1, 22, "service name a used more than once, first on line 1"}, true},
		{"resource", "resources:\n  db: {type: ' '}\n", fault{2, 3, "resource type can not be blank"}, false},
		{"size, which is our rule", strings.Repeat("#", 1<<20+1), fault{0, 0, "manifest is larger than 1048576 bytes"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := manifest.Inspect([]byte(tt.text))
			if e := checkFault(t, err, tt.want); e.Unsure != tt.unsure {
				t.Errorf("Unsure is %t, want %t", e.Unsure, tt.unsure)
			}
			if _, err := manifest.Load([]byte(tt.text), nil); checkFault(t, err, tt.want).Unsure {
				t.Error("Load is unsure")
			}
		})
	}
}

func TestResolve(t *testing.T) {
	env := map[string]string{"A": "app", "B": "app", "HIDDEN": "app"}
	for _, test := range []struct {
		entries []string
		want    map[string]string
	}{
		{nil, map[string]string{}},
		{[]string{"A", "C=default", "D="}, map[string]string{"A": "app", "C": "default", "D": ""}},
		{[]string{"A=first", "C=first", "C=second=x"}, map[string]string{"A": "app", "C": "second=x"}},
		{[]string{"*", "C=default", "A=default"}, map[string]string{"A": "app", "B": "app", "HIDDEN": "app", "C": "default"}},
		{[]string{"MISSING"}, map[string]string{}},
	} {
		s := manifest.Service{Environment: test.entries}
		if d := cmp.Diff(test.want, s.Resolve(env)); d != "" {
			t.Errorf("%q (-want +got):\n%s", test.entries, d)
		}
	}
}
