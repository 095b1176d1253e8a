package ci_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/ci"
)

// TestSummary: GitHub gets Markdown in its file, masked, behind what is there;
// whoever has no such file gets the text, in which nothing is a command.
func TestSummary(t *testing.T) {
	const markdown, text = "<h2>hunter22</h2>\n", "hunter22\n::error::no\n"
	file := filepath.Join(t.TempDir(), "summary.md")
	for _, test := range []struct {
		name, system string
		environ      []string
		said, file   string
	}{
		{"github", ci.GitHub, []string{"GITHUB_STEP_SUMMARY=" + file}, "", "before\n<h2>***</h2>\n"},
		{"github without a file", ci.GitHub, nil, "***\n:\\:error::no\n", "before\n"},
		{"circleci", ci.CircleCI, []string{"GITHUB_STEP_SUMMARY=" + file}, "***\n::error::no\n", "before\n"},
		{"plain", ci.Plain, nil, "***\n::error::no\n", "before\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := os.WriteFile(file, []byte("before\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			var said strings.Builder
			c := ci.Open(ci.Run{System: test.system}, test.environ, &said)
			c.Mask("hunter22")
			said.Reset()
			if err := c.Summary(markdown, text); err != nil {
				t.Fatal(err)
			}
			c.Close()
			got, err := os.ReadFile(file)
			if err != nil || said.String() != test.said || string(got) != test.file {
				t.Errorf("said %q, file %q, %v", said.String(), got, err)
			}
		})
	}
}

func TestSummaryThatCannotBeWritten(t *testing.T) {
	c := ci.Open(ci.Run{System: ci.GitHub}, []string{"GITHUB_STEP_SUMMARY=" + t.TempDir()}, io.Discard)
	if err := c.Summary("x", "y"); err == nil || !strings.Contains(err.Error(), "GITHUB_STEP_SUMMARY") {
		t.Errorf("got %v", err)
	}
}

func TestAnnotateInLog(t *testing.T) {
	c, said := open(ci.GitHub)
	c.AnnotateInLog()
	c.Annotate(ci.LevelError, "a.yml", 3, "wrong\n::error::x")
	c.Warn("odd")
	if want := "a.yml:3: error: wrong\n:\\:error::x\nwarning: odd\n"; said.String() != want {
		t.Errorf("got %q", said.String())
	}
}

// TestDetectRun: where the run is to be seen, and whose it is.
func TestDetectRun(t *testing.T) {
	github := []string{"GITHUB_ACTIONS=true", "GITHUB_SERVER_URL=https://ghes.example", "GITHUB_REPOSITORY=acme/shop", "GITHUB_RUN_ID=7", "GITHUB_ACTOR=ada"}
	for _, test := range []struct {
		name    string
		environ []string
		want    ci.Run
	}{
		{"a branch", append(github, "GITHUB_REF_TYPE=branch", "GITHUB_REF_NAME=main", "GITHUB_RUN_ATTEMPT=1"),
			ci.Run{System: ci.GitHub, ID: "7", Link: "https://ghes.example/acme/shop/actions/runs/7", Repository: "acme/shop", Branch: "main", Actor: "ada"}},
		{"a tag, again", append(github, "GITHUB_REF_TYPE=tag", "GITHUB_REF_NAME=v1", "GITHUB_RUN_ATTEMPT=2", "GITHUB_TRIGGERING_ACTOR=bob"),
			ci.Run{System: ci.GitHub, ID: "7", Link: "https://ghes.example/acme/shop/actions/runs/7/attempts/2", Repository: "acme/shop", Actor: "bob"}},
		{"a pull request", append(github, "GITHUB_REF_TYPE=branch", "GITHUB_REF_NAME=9/merge", "GITHUB_HEAD_REF=fix"),
			ci.Run{System: ci.GitHub, ID: "7", Link: "https://ghes.example/acme/shop/actions/runs/7", Repository: "acme/shop", Branch: "fix", Actor: "ada"}},
		{"circleci", []string{"CIRCLECI=true", "CIRCLE_BUILD_URL=https://circleci.example/1", "CIRCLE_BUILD_NUM=1", "CIRCLE_PROJECT_USERNAME=acme", "CIRCLE_PROJECT_REPONAME=shop", "CIRCLE_BRANCH=main", "CIRCLE_USERNAME=ada"},
			ci.Run{System: ci.CircleCI, ID: "1", Link: "https://circleci.example/1", Repository: "acme/shop", Branch: "main", Actor: "ada"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if d := cmp.Diff(test.want, ci.Detect(test.environ)); d != "" {
				t.Error(d)
			}
		})
	}
}
