package workflow_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// TestOldNames: inputs by older names do what they did; what contradicts is said.
func TestOldNames(t *testing.T) {
	context := tree(t, map[string]string{"convox.yml": imageManifest})
	for _, test := range []struct {
		values map[string]string
		want   options.Switch // no-cache
		args   string
		wrong  string
	}{
		{map[string]string{}, options.Unset, "", ""},
		{map[string]string{"cached": "false"}, options.On, "", ""},
		{map[string]string{"cached": "true"}, options.Off, "", ""},
		{map[string]string{"cached": "false", "no-cache": "true"}, options.On, "", ""},
		{map[string]string{"cached": "true", "no-cache": "true"}, 0, "", "cached: contradicts no-cache"},
		{map[string]string{"cached": "false", "no-cache": "false"}, 0, "", "cached: contradicts no-cache"},
		{map[string]string{"buildargs": "A=1 2\nB="}, options.Unset, "A=1 2 B=", ""},
		{map[string]string{"buildargs": "A=1\nC=3", "build-args": "B=2\nA=1"}, options.Unset, "B=2 A=1 C=3", ""},
		{map[string]string{"buildargs": "A=1", "build-args": "A=2"}, 0, "", `buildargs: "A" contradicts build-args`},
		{map[string]string{"buildargs": "A=1,2"}, 0, "", `build-args: "A" holds a comma`},
		{map[string]string{"buildargs": "HOME"}, options.Unset, "HOME=/home", ""},
	} {
		test.values["rack"], test.values["app"], test.values["context"] = "local", "shop", string(context)
		var in workflow.BuildInputs
		if err := options.Parse(&in, test.values); err != nil {
			t.Fatal(err)
		}
		err := in.Check(func(name string) (string, bool) { return "/home", name == "HOME" })
		if test.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), test.wrong) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v: %v", test.values, err)
			}
			continue
		}
		var args []string
		for _, a := range in.BuildArgs {
			args = append(args, a.Key+"="+a.Value)
		}
		if d := cmp.Diff(test.args, strings.Join(args, " ")); err != nil || in.NoCache != test.want || d != "" {
			t.Errorf("%v: %v, no-cache %v\n%s", test.values, err, in.NoCache, d)
		}
	}
}
