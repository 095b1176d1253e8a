package ci_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/ci"
)

// Two steps of a job write one file, in which a variable may be only once.
func TestGitLabFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "convox-ci.env")
	if err := os.WriteFile(file, []byte("MINE=1\nRELEASE=R0\nRELEASES=2"), 0o644); err != nil {
		t.Fatal(err)
	}
	c, said := open(ci.GitLab, "CI_PROJECT_DIR="+dir)
	for _, p := range []pair{{"release", "R1"}, {"status", "failed"}, {"status", ""}, {"reason", " x"}, {"rack", "prod"}} {
		if err := c.Output(p.Name, p.Value); err != nil {
			t.Error(err)
		}
	}
	if want := "MINE=1\nRELEASES=2\nCONVOX_RELEASE_ID=R1\nRELEASE=R1\n"; read(t, file) != want {
		t.Errorf("got %q", read(t, file))
	}
	if want := "warning: output reason is not in convox-ci.env: it has several lines or blanks around it\n"; said.String() != want {
		t.Errorf("said %q", said.String())
	}
}

// GitLab refuses the whole file when it is too big, so what fits stays.
func TestGitLabFileIsFull(t *testing.T) {
	dir := t.TempDir()
	c, said := open(ci.GitLab, "CI_PROJECT_DIR="+dir)
	c.Output("build", "B1")
	if err := c.Output("reason", strings.Repeat("x", 5*1024)); err != nil {
		t.Error(err)
	}
	c.Output("status", "failed")
	if want := "CONVOX_BUILD_ID=B1\nBUILD=B1\nCONVOX_STATUS=failed\n"; read(t, filepath.Join(dir, "convox-ci.env")) != want {
		t.Errorf("got %q", read(t, filepath.Join(dir, "convox-ci.env")))
	}
	if want := "warning: output reason is not in convox-ci.env: the file would be too big for GitLab\n"; said.String() != want {
		t.Errorf("said %q", said.String())
	}
}

func TestGitLabFileCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "convox-ci.env"), 0o755); err != nil {
		t.Fatal(err)
	}
	c, _ := open(ci.GitLab, "CI_PROJECT_DIR="+dir)
	if err := c.Output("build", "B1"); err == nil || !strings.Contains(err.Error(), "output build: read convox-ci.env") {
		t.Error(err)
	}
}

func TestVariablesFileUnwritable(t *testing.T) {
	for system, variable := range map[string]string{ci.Bitbucket: "BITBUCKET_PIPELINES_VARIABLES_PATH", ci.Drone: "DRONE_OUTPUT"} {
		c, _ := open(system, variable+"="+filepath.Join(t.TempDir(), "no", "folder"))
		if err := c.Output("build", "B1"); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), variable) {
			t.Errorf("%s: %v", system, err)
		}
	}
}

// Without a file or an agent nothing is passed on, and nothing is said of it: the
// outputs are in the file of the input output-file.
func TestNowhereForOutputs(t *testing.T) {
	for _, system := range []string{ci.GitLab, ci.Buildkite, ci.Bitbucket, ci.Drone, ci.Woodpecker} {
		c, said := open(system)
		c.Mask("hunter22")
		if err := c.Output("build", "B1"); err != nil || said.String() != "" {
			t.Errorf("%s: said %q, %v", system, said.String(), err)
		}
	}
}

// Of what a dotenv file and a list of lines read differently, nothing is written.
func TestDroneFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "output.env")
	c, said := open(ci.Drone, "DRONE_OUTPUT="+file)
	for _, value := range []string{"a\nb", "a #b", "$HOME", `a\n`, `"a"`, "it's", "`a`", " a", "a\r"} {
		if err := c.Output("reason", value); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) || strings.Count(said.String(), "warning: output reason is not passed on") != 9 {
		t.Errorf("%v, said %q", err, said.String())
	}
	c.Output("reason", "a=b, c: d")
	if want := "CONVOX_REASON=a=b, c: d\n"; read(t, file) != want {
		t.Errorf("got %q", read(t, file))
	}
}

// An agent that fails is a warning, once, and nothing fails for it.
func TestBuildkiteAgentFails(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\necho call >>\"$CALLS\"\necho 'no token for hunter22' >&2\necho more\nexit 3\n"
	if err := os.WriteFile(filepath.Join(dir, "buildkite-agent"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	calls := filepath.Join(dir, "calls")
	c, said := open(ci.Buildkite, "PATH="+dir, "CALLS="+calls)
	c.Mask("hunter22")
	c.Warn("careful")
	if err := c.Output("build", "B1"); err != nil {
		t.Error(err)
	}
	want := "warning: buildkite-agent redactor: exit status 3: no token for ***\nwarning: careful\n"
	if said.String() != want || read(t, calls) != "call\n" {
		t.Errorf("said %q, calls %q", said.String(), read(t, calls))
	}
}

// A directory of the source is not a place to take programs from.
func TestBuildkiteAgentOfTheSource(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("bin", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("bin", "buildkite-agent"), []byte("#!/bin/sh\necho >called\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	c, said := open(ci.Buildkite, "PATH=bin:")
	c.Mask("hunter22")
	if _, err := os.Stat("called"); !errors.Is(err, os.ErrNotExist) || said.String() != "" {
		t.Errorf("%v, said %q", err, said.String())
	}
}
