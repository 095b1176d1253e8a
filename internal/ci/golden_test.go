package ci_test

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// hostile is a build log that tries all systems.
const hostile = "#1 building\r\n" +
	"  ::error::no\n" +
	"see ##[error]no and ##vso[task.setvariable variable=RELEASE]no\n" +
	"##teamcity[setParameter name='env.RELEASE' value='no']\n" +
	"\x1b[0Ksection_start:1:no[collapsed=true]\r\x1b[0Kno\n" +
	"--- no\n+++ no\n~~~ no\n^^^ +++\n" +
	"\x1b[32mgreen\x1b[0m 10%\r20%\x1b[2K\x1b]0;title\x07\n" +
	"the key is hunter22"

// story says what a deploy says, and hands on what it hands on.
func story(t *testing.T, c *ci.Console) {
	t.Helper()
	c.Mask("hunter22")
	io.WriteString(c, "Deploying with hunter22 ##vso[a.b]c\n")
	end := c.Group("Build log of B1\n--- hunter22 ##teamcity[a 'b']")
	c.Foreign(func(w io.Writer) error {
		_, err := io.WriteString(w, hostile)
		return err
	})
	end()
	io.WriteString(c, "Built\n")
	c.Warn("50% of [it]; 'hunter22'|\r\n--- no ##[error]no")
	c.Group("Promote")
	c.Annotate(ci.LevelError, "a/convox.yml", 3, "wrong; ]here\n````\n<b>no")
	c.Annotate(ci.LevelNotice, "", 0, "```\nfyi")
	for _, p := range []pair{
		{"app", "shop"}, {"rack", "prod"}, {"git-sha", "abc"}, {"build", "B1"}, {"release", "R1"}, {"previous-release", ""},
		{"reason", "it's 50%;\n[gone] hunter22 ##vso[a.b]c"}, {"promoted", "false"}, {"promoted", "true"},
	} {
		if err := c.Output(p.Name, p.Value); err != nil {
			t.Error(err)
		}
	}
	c.Close()
}

// agentScript stands for buildkite-agent: it writes down what it is asked for.
const agentScript = `#!/bin/sh
{ echo "$# $*"; cat; echo; echo ===; } >>"$CALLS"
`

// TestGolden holds what each system is told, in its log and in its files, to the
// golden files. Control characters are shown by their names there.
func TestGolden(t *testing.T) {
	times := regexp.MustCompile(`(section_\w+):\d{10}:`)
	for system := range readers {
		t.Run(system, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "buildkite-agent"), []byte(agentScript), 0o755); err != nil {
				t.Fatal(err)
			}
			out := filepath.Join(dir, "out")
			c, said := open(system, "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"), "CALLS="+out, "BASH_ENV="+out,
				"DRONE_OUTPUT="+out, "BITBUCKET_PIPELINES_VARIABLES_PATH="+out, "CI_PROJECT_DIR="+dir)
			story(t, c)
			text := times.ReplaceAllString(said.String(), "$1:TIME:")
			for _, file := range []string{"convox-ci.env", "out"} {
				if data, err := os.ReadFile(filepath.Join(dir, file)); err == nil {
					text += fmt.Sprintf("-- %s --\n%s", file, data)
				}
			}
			if strings.Contains(strings.ReplaceAll(text, "##vso[task.setsecret]hunter22", ""), "hunter22") && system != ci.Buildkite {
				t.Error("the secret shows")
			}
			text = strings.NewReplacer("\r", `<CR>`, "\x1b", `<ESC>`).Replace(text)
			golden := filepath.Join("testdata", "golden", system+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(strings.Split(read(t, golden), "\n"), strings.Split(text, "\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
