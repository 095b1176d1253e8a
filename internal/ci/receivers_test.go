package ci_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/ci"
)

// TestExport: later steps get a variable as it is, a secret too, and nobody sees it.
func TestExport(t *testing.T) {
	const value = "it's hunter22\nand more"
	for system, test := range map[string]struct{ variable, want string }{
		ci.GitHub:   {"GITHUB_ENV", ""},
		ci.CircleCI: {"BASH_ENV", "export CONVOX_PASSWORD='it'\\''s hunter22\nand more'\n"},
	} {
		file := filepath.Join(t.TempDir(), "env")
		c, said := open(system, test.variable+"="+file)
		c.Mask(value)
		before := said.String()
		if err := c.Export("CONVOX_PASSWORD", value); err != nil {
			t.Error(err)
		}
		got := read(t, file)
		if pairs, ok := readOutputs(got); system == ci.GitHub && ok && cmp.Equal(pairs, []pair{{"CONVOX_PASSWORD", value}}) {
			got = test.want
		}
		if got != test.want || said.String() != before {
			t.Errorf("%s: the file has %q, said was %q", system, got, said)
		}
		if c.Export("A=B", "c") == nil {
			t.Errorf("%s took a wrong name", system)
		}
	}
	for _, system := range []string{ci.GitHub, ci.CircleCI, ci.Plain} {
		c, _ := open(system)
		if err := c.Export("CONVOX_PASSWORD", value); !errors.Is(err, ci.ErrNoEnvironment) {
			t.Errorf("%s without a file: %v", system, err)
		}
	}
}

// TestRemember: the last stage of a step reads what was kept, the last value of a
// name; where there is no such stage nothing happens.
func TestRemember(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state")
	c, _ := open(ci.GitHub, "GITHUB_STATE="+file)
	for _, value := range []string{"B1", "B2", ""} {
		if err := c.Remember("build", value); err != nil {
			t.Error(err)
		}
	}
	if pairs, ok := readOutputs(read(t, file)); !ok || !cmp.Equal(pairs, []pair{{"build", "B1"}, {"build", "B2"}, {"build", ""}}) {
		t.Errorf("ok %v: %v", ok, pairs)
	}
	for _, system := range []string{ci.GitHub, ci.CircleCI, ci.Plain} {
		bash := filepath.Join(t.TempDir(), "bash")
		c, said := open(system, "BASH_ENV="+bash)
		if err := c.Remember("build", "B1"); err != nil || said.String() != "" {
			t.Errorf("%s: %v, %q", system, err, said)
		}
		if left, _ := filepath.Glob(bash); left != nil {
			t.Errorf("%s writes %s", system, left)
		}
	}
	if got := ci.State([]string{"STATE_build=B1"}, "build") + ci.State(nil, "build"); got != "B1" {
		t.Errorf("the state is %q", got)
	}
}
