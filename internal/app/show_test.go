package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// records is a rack with texts of others in it.
func records(t *testing.T) string {
	t.Helper()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		release := `{"id":"RONE","app":"shop","build":"BONE","description":"##[error]x key-of-the-rack <b>","env":"A=a-secret-value\nB=2","manifest":"services: {}"}`
		switch path := r.URL.Path; {
		case strings.HasSuffix(path, "/releases"):
			fmt.Fprint(w, "["+release+"]")
		case strings.HasSuffix(path, "/releases/RONE"):
			fmt.Fprint(w, release)
		case strings.HasSuffix(path, "/builds"), strings.HasSuffix(path, "/apps"), strings.HasSuffix(path, "/racks"):
			fmt.Fprint(w, "null")
		case strings.HasSuffix(path, "/builds/BONE"):
			fmt.Fprint(w, `{"id":"BONE","description":"##[x"}`)
		default:
			fmt.Fprint(w, `{"name":"shop","status":"running","release":"RONE"}`)
		}
	}))
	t.Cleanup(front.Close)
	return strings.Replace(front.URL, "http://", "http://convox:key-of-the-rack@", 1)
}

// TestJSON: standard output is one text for programs, in which nothing commands
// GitHub's runner, no value of a variable and no key is.
func TestJSON(t *testing.T) {
	at := records(t)
	for _, test := range []struct {
		line []string
		want any // nil: only that it is one
	}{
		{[]string{"releases"}, []any{map[string]any{"id": "RONE", "active": true, "build": "BONE", "description": "##[error]x *** <b>", "created": "0001-01-01T00:00:00Z"}}},
		{[]string{"releases", "info", "RONE"}, map[string]any{"id": "RONE", "active": true, "build": "BONE", "description": "##[error]x *** <b>",
			"created": "0001-01-01T00:00:00Z", "variables": []any{"A", "B"}}},
		{[]string{"builds"}, []any{}},
		{[]string{"builds", "info", "BONE"}, nil},
		{[]string{"apps"}, []any{}},
		{[]string{"racks"}, []any{}},
	} {
		for _, system := range []string{"GITHUB_ACTIONS=true", "CI=true"} {
			var out, beside strings.Builder
			args := append(test.line, "--json", "--rack-url", at)
			if test.line[0] != "apps" && test.line[0] != "racks" {
				args = append(args, "--app", "shop")
			}
			if status := Main(t.Context(), args, []string{system}, Streams{Out: &out, Err: &beside}); status != exitOK {
				t.Errorf("%v: status %d\n%s", test.line, status, beside.String())
			}
			var got any
			if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
				t.Errorf("%v: %v in\n%s", test.line, err, out.String())
			}
			if d := cmp.Diff(test.want, got); test.want != nil && d != "" {
				t.Errorf("%v:\n%s", test.line, d)
			}
			for _, never := range []string{"##[", "::", "a-secret-value", "key-of-the-rack"} {
				if strings.Contains(out.String(), never) {
					t.Errorf("%v: %s in\n%s", test.line, never, out.String())
				}
			}
		}
	}
}

// TestValuesAlone: what was asked for as it is has nothing beside it on standard
// output.
func TestValuesAlone(t *testing.T) {
	at := records(t)
	for _, test := range []struct {
		line []string
		want string
	}{
		{[]string{"env", "get", "A"}, "a-secret-value\n"}, {[]string{"env", "get"}, "A=a-secret-value\nB=2\n"}, {[]string{"releases", "manifest", "RONE"}, "services: {}\n"},
	} {
		var out, beside strings.Builder
		status := Main(t.Context(), append(test.line, "--app", "shop", "--rack-url", at), []string{"GITHUB_ACTIONS=true"}, Streams{Out: &out, Err: &beside})
		if status != exitOK || out.String() != test.want {
			t.Errorf("%v: status %d, %q\n%s", test.line, status, out.String(), beside.String())
		}
	}
	var out strings.Builder
	if status := Main(t.Context(), []string{"env", "--app", "shop", "--rack-url", at}, nil, Streams{Out: &out, Err: &out}); status != exitOK || strings.Contains(out.String(), "secret") || !strings.Contains(out.String(), "A\nB\n") {
		t.Errorf("status %d\n%s", status, out.String())
	}
	if status := Main(t.Context(), []string{"env", "get", "C", "--app", "shop", "--rack-url", at}, nil, Streams{Out: &out, Err: &out}); status != exitInputs {
		t.Errorf("status %d\n%s", status, out.String())
	}
}

// TestPrintRelease: texts of others stay on their line.
func TestPrintRelease(t *testing.T) {
	var got strings.Builder
	r := workflow.ReleaseShown{ID: "RONE", Active: true, Build: "BONE", Description: "two\nli\x1b[31mnes", Variables: []string{"A", "B"}}
	if err := printRelease(&got, r); err != nil {
		t.Fatal(err)
	}
	want := "Id           RONE\nStatus       active\nBuild        BONE\nCreated      0001-01-01T00:00:00Z\nDescription  two li[31mnes\nVariables    A B\n"
	if d := cmp.Diff(want, got.String()); d != "" {
		t.Error(d)
	}
	got.Reset()
	if err := printTable(&got, "A\tB", []rack.App{{Name: "shop"}}, func(a rack.App) []string { return []string{a.Name, a.Status} }); err != nil || got.String() != "A     B\nshop  \n" {
		t.Errorf("%q, %v", got.String(), err)
	}
}
