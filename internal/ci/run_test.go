package ci_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/google/go-cmp/cmp"
)

func TestDetect(t *testing.T) {
	github := []string{
		"GITHUB_ACTIONS=true", "GITHUB_SHA=merge",
	}
	const pull = `{"pull_request":{"title":"Add it","head":{"sha":"head","repo":{"full_name":"o/r"}},"base":{"repo":{"full_name":"o/r"}}}}`
	const fork = `{"pull_request":{"title":"Add it","head":{"sha":"head","repo":null},"base":{"repo":{"full_name":"o/r"}}}}`
	tests := []struct {
		name    string
		event   string
		environ []string
		want    ci.Run
	}{
		{"plain", "", []string{"CI=true"}, ci.Run{System: ci.Plain}},
		{"circleci", "", []string{"CIRCLECI=true", "CIRCLE_SHA1=abc"}, ci.Run{System: ci.CircleCI, Commit: "abc"}},
		{"circleci fork", "", []string{"CIRCLECI=true", "CIRCLE_PR_USERNAME=them"}, ci.Run{System: ci.CircleCI, Fork: true}},
		{"github without event", "", github, ci.Run{System: ci.GitHub, Commit: "merge"}},
		{"github broken event", "{", github, ci.Run{System: ci.GitHub, Commit: "merge"}},
		{"github push", `{"head_commit":{"message":"\nFix it \n\nmore"}}`, github, ci.Run{System: ci.GitHub, Commit: "merge", Subject: "Fix it"}},
		{"github pull request", pull, append(github, "GITHUB_EVENT_NAME=pull_request"), ci.Run{System: ci.GitHub, Commit: "head", Subject: "Add it"}},
		{"github fork, deleted", fork, append(github, "GITHUB_EVENT_NAME=pull_request"), ci.Run{System: ci.GitHub, Commit: "head", Subject: "Add it", Fork: true}},
		{"github target", pull, append(github, "GITHUB_EVENT_NAME=pull_request_target"), ci.Run{System: ci.GitHub, Commit: "merge", Subject: "Add it"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			environ := test.environ
			if test.event != "" {
				file := filepath.Join(t.TempDir(), "event.json")
				if err := os.WriteFile(file, []byte(test.event), 0o600); err != nil {
					t.Fatal(err)
				}
				environ = append([]string{"GITHUB_EVENT_PATH=" + file}, environ...)
			}
			if diff := cmp.Diff(test.want, ci.Detect(environ)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestInputs(t *testing.T) {
	names := []string{"no-cache", "password", "rack-url", "release", "app"}
	tests := []struct {
		name    string
		environ []string
		want    map[string]string
	}{
		{"nothing", nil, map[string]string{}},
		{"hyphen first", []string{"CONVOX_NO_CACHE=4", "PLUGIN_NO_CACHE=3", "INPUT_NO_CACHE=2", "INPUT_NO-CACHE=1"}, map[string]string{"no-cache": "1"}},
		{"underscore next", []string{"CONVOX_NO_CACHE=4", "PLUGIN_NO_CACHE=3", "INPUT_NO_CACHE=2", "INPUT_NO-CACHE="}, map[string]string{"no-cache": "2"}},
		{"plugin next", []string{"CONVOX_NO_CACHE=4", "PLUGIN_NO_CACHE=3", "INPUT_NO_CACHE= \n"}, map[string]string{"no-cache": "3"}},
		{"convox last", []string{"CONVOX_NO_CACHE=4", "NO_CACHE=5"}, map[string]string{"no-cache": "4"}},
		{"names of Convox's tools", []string{"RELEASE=R2", "RACK_URL=https://a:b@c"}, map[string]string{"release": "R2", "rack-url": "https://a:b@c"}},
		{"these are the weakest", []string{"RELEASE=R2", "CONVOX_RELEASE=R1"}, map[string]string{"release": "R1"}},
		{"blanks", []string{"INPUT_APP= web\n", "INPUT_PASSWORD= p \r\n"}, map[string]string{"app": "web", "password": " p "}},
		{"blanks alone", []string{"INPUT_PASSWORD=  ", "CONVOX_PASSWORD=p"}, map[string]string{"password": "p"}},
		{"first of two", []string{"INPUT_APP=a", "INPUT_APP=b", "INPUT_PASSWORD=x=y"}, map[string]string{"app": "a", "password": "x=y"}},
		{"not ours", []string{"INPUT_OTHER=1", "APP=web", "PASSWORD=p"}, map[string]string{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, ci.Inputs(test.environ, names)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
