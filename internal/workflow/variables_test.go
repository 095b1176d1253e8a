package workflow_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

func nothing(string) (string, bool) { return "", false }

// envFile is a file of variables.
func envFile(t *testing.T, text string) options.Path {
	t.Helper()
	path := filepath.Join(t.TempDir(), "app.env")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return options.Path(path)
}

func connected() workflow.Target {
	return workflow.Target{Connection: workflow.Connection{Rack: "local"}, App: "shop"}
}

// TestEnvFile: what a file means, and that none of its values is shown.
func TestEnvFile(t *testing.T) {
	for _, test := range []struct{ text, want, wrong string }{
		{"A=1\nB=2\n", "A=1\nB=2", ""},
		{"\uFEFFA=1\r\n\r\n# comment=1\r\n  #another\r\nB=two words \r\n", "A=1\nB=two words ", ""},
		{"A=a=b\n B =\nA2='quoted' # not a comment\n", "A=a=b\nA2='quoted' # not a comment\nB=", ""},
		{"A=1\nA=2", "A=2", ""},
		{"", "", ""},
		{"A=1\nsecret\n=secret\nexport B=secret\n\"C\"=secret\n", "", "2 3 4 5"},
		{"A=sec\rret\n", "", "A"},
		{"A=" + strings.Repeat("secret", 11000), "", "A"},
	} {
		in := workflow.EnvSetInputs{Target: connected(), EnvInputs: workflow.EnvInputs{EnvFile: envFile(t, test.text)}}
		err := in.Check(nothing)
		if (err != nil) != (test.wrong != "") {
			t.Errorf("%.40q: %v", test.text, err)
		}
		if err == nil {
			var lines []string
			for _, p := range in.Env {
				lines = append(lines, p.Key+"="+p.Value)
			}
			if d := cmp.Diff(rack.ParseEnv(test.want), rack.ParseEnv(strings.Join(lines, "\n"))); d != "" {
				t.Errorf("%q:\n%s", test.text, d)
			}
			continue
		}
		var wrong *options.Error
		if errors.As(err, &wrong); wrong == nil || strings.Contains(strings.ReplaceAll(err.Error(), string(in.EnvFile), ""), "secret") {
			t.Fatalf("%.40q: %v", test.text, err)
		}
		var places []string
		for _, p := range wrong.Problems {
			places = append(places, strings.TrimPrefix(p.Value, string(in.EnvFile)+":"))
		}
		if got := strings.Join(places, " "); got != test.wrong {
			t.Errorf("%.40q: wrong are %q, want %q", test.text, got, test.wrong)
		}
	}
}

// TestEnvInputs: all that is wrong is found before anything is done, always in
// the same order.
func TestEnvInputs(t *testing.T) {
	long := strings.Repeat("%", 60<<10) // three bytes each in a form
	many := options.Pairs{}
	for _, name := range strings.Fields("A B C D E F G H I J K L M N O P Q R S T U V W X Y Z AA BB CC DD EE FF GG HH II JJ KK LL MM NN OO PP QQ RR SS TT") {
		many = append(many, options.Pair{Key: name, Value: long})
	}
	for _, test := range []struct {
		in   workflow.EnvInputs
		want string
	}{
		{workflow.EnvInputs{}, "set-env: is required"},
		{workflow.EnvInputs{ReplaceEnv: true}, "replace-env: \"true\" would leave no variable at all"},
		{workflow.EnvInputs{ReplaceEnv: true, EnvFile: envFile(t, "# nothing\n")}, "replace-env: \"true\" would leave no variable at all"},
		{workflow.EnvInputs{ReplaceEnv: true, EnvFile: envFile(t, "A=1\n")}, ""},
		{workflow.EnvInputs{EnvFile: "/none/app.env"}, "env-file: \"/none/app.env\""},
		{workflow.EnvInputs{Env: pairs(t, "A")}, "set-env: \"A\" has no value and is not in the environment"},
		{workflow.EnvInputs{Env: pairs(t, "\"A=1\n2\"\n\"B=1\n2\"")}, "set-env: \"A\" has a value with a line break, which a Rack cannot keep; accepted: a value of one line\nset-env: \"B\""},
		{workflow.EnvInputs{Env: many}, "set-env: is too long for a Rack"},
		{workflow.EnvInputs{Env: many[:40]}, ""},
	} {
		in := workflow.EnvSetInputs{Target: connected(), EnvInputs: test.in}
		err := in.Check(nothing)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%.80v, want %q", err, test.want)
		}
	}
}

// TestEnvFileAndInputs: what is given on the spot counts more.
func TestEnvFileAndInputs(t *testing.T) {
	j, s := heard(shop(t, active(newer.ID), nil, older, newer))
	in := workflow.EnvSetInputs{Target: connected(), Limits: minute, EnvInputs: workflow.EnvInputs{EnvFile: envFile(t, "A=file\nB=file\n"), Env: pairs(t, "A=spot\nPASSED")}}
	if err := in.Check(func(name string) (string, bool) { return "from " + name, name == "PASSED" }); err != nil {
		t.Fatal(err)
	}
	if _, err := workflow.EnvSet(t.Context(), j, in); err != nil {
		t.Fatal(err)
	}
	env, err := workflow.Env(t.Context(), j, workflow.ListEnvInputs{Target: target})
	if d := cmp.Diff(map[string]string{"A": "spot", "B": "file", "PASSED": "from PASSED", "KEPT": "2", "GONE": "a-secret-value"}, env); err != nil || d != "" {
		t.Errorf("%v\n%s", err, d)
	}
	if text := s.String(); !strings.Contains(text, "Environment: add:A add:B add:PASSED\n") || strings.Contains(text, "spot") {
		t.Errorf("said\n%s", text)
	}
}

// TestReplaceEnv: nothing is lost unless that is wanted, nothing is made where
// nothing changes, and a key that may not read may replace all.
func TestReplaceEnv(t *testing.T) {
	unread := func(r *http.Request) (int, string) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/releases") {
			return http.StatusForbidden, "not for this key"
		}
		return 0, ""
	}
	for _, test := range []struct {
		name   string
		env    string
		drop   bool
		answer func(*http.Request) (int, string)
		want   string // the environment afterwards
		err    error
	}{
		{"drops", "KEPT=3", false, nil, newer.Env, &workflow.DroppedError{Names: []string{"GONE"}}},
		{"may drop", "KEPT=3", true, nil, "KEPT=3", nil},
		{"drops none", "KEPT=3\nGONE=4\nNEW=5", false, nil, "KEPT=3\nGONE=4\nNEW=5", nil},
		{"the same", newer.Env, false, nil, newer.Env, nil},
		{"unread", "KEPT=3", false, unread, newer.Env, rack.ErrForbidden},
		{"unread, may drop", "KEPT=3", true, unread, "KEPT=3", nil},
	} {
		full := shop(t, active(newer.ID), nil, older, newer)
		j, s := heard(full)
		if test.answer != nil {
			j = past(j, test.answer)
		}
		_, err := workflow.EnvSet(t.Context(), j, workflow.EnvSetInputs{Target: target, Limits: minute, EnvInputs: workflow.EnvInputs{Env: pairs(t, test.env), ReplaceEnv: true, AllowDrop: test.drop}})
		var dropped *workflow.DroppedError
		if errors.As(err, &dropped) && test.err != nil && dropped.Error() == test.err.Error() {
			err = test.err
		}
		if !errors.Is(err, test.err) || strings.Contains(s.String(), "secret") {
			t.Errorf("%s: %v\n%s", test.name, err, s)
		}
		list, _ := full.Rack.Releases(t.Context(), "shop", 0)
		if made := len(list) - 2; (made == 1) != (test.want != newer.Env) {
			t.Errorf("%s: %d releases were made", test.name, made)
		}
		env, err := workflow.Env(t.Context(), full, workflow.ListEnvInputs{Target: target})
		if d := cmp.Diff(rack.ParseEnv(test.want), env); err != nil || d != "" {
			t.Errorf("%s: %v\n%s", test.name, err, d)
		}
	}
}
