package ci_test

import (
	"testing"

	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/google/go-cmp/cmp"
)

func TestDetectElsewhere(t *testing.T) {
	gitlab := []string{"GITLAB_CI=true", "CI_COMMIT_SHA=abc", "CI_COMMIT_TITLE=Fix it", "CI_JOB_URL=https://gitlab.example/o/r/-/jobs/7", "CI_JOB_ID=7",
		"CI_PROJECT_PATH=o/r", "GITLAB_USER_LOGIN=ada"}
	buildkite := []string{"BUILDKITE=true", "BUILDKITE_COMMIT=abc", "BUILDKITE_MESSAGE=Fix it\n\nmore", "BUILDKITE_REPO=git@github.com:o/r.git",
		"BUILDKITE_BRANCH=fix", "BUILDKITE_BUILD_URL=https://buildkite.com/o/p/builds/7", "BUILDKITE_BUILD_CREATOR=Ada", "BUILDKITE_BUILD_NUMBER=7"}
	azure := []string{"TF_BUILD=True", "BUILD_SOURCEVERSION=abc", "BUILD_SOURCEVERSIONMESSAGE=Fix it", "BUILD_SOURCEBRANCH=refs/heads/fix",
		"BUILD_REPOSITORY_NAME=o/r", "BUILD_REQUESTEDFOR=Ada", "SYSTEM_COLLECTIONURI=https://dev.azure.com/o/", "SYSTEM_TEAMPROJECT=A team", "BUILD_BUILDID=7"}
	link := "https://dev.azure.com/o/A%20team/_build/results?buildId=7"
	woodpecker := []string{"CI=woodpecker", "CI_COMMIT_SHA=abc", "CI_COMMIT_MESSAGE=Fix it\n", "CI_PIPELINE_URL=https://w.example/repos/1/pipeline/7", "CI_PIPELINE_NUMBER=7",
		"CI_REPO=o/r", "CI_COMMIT_BRANCH=fix", "CI_COMMIT_AUTHOR=ada", "DRONE=true", "DRONE_COMMIT_SHA=def"}
	tests := []struct {
		name    string
		environ []string
		want    ci.Run
	}{
		{"gitlab", append(gitlab, "CI_COMMIT_BRANCH=fix"), ci.Run{System: ci.GitLab, Commit: "abc", Subject: "Fix it",
			ID: "7", Link: "https://gitlab.example/o/r/-/jobs/7", Repository: "o/r", Branch: "fix", Actor: "ada"}},
		{"gitlab merged result of a fork", append(gitlab, "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA=head", "CI_MERGE_REQUEST_TITLE=Add it",
			"CI_MERGE_REQUEST_SOURCE_BRANCH_NAME=add", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID=2", "CI_MERGE_REQUEST_PROJECT_ID=1"),
			ci.Run{System: ci.GitLab, Commit: "head", Subject: "Add it", Fork: true, ID: "7", Link: "https://gitlab.example/o/r/-/jobs/7", Repository: "o/r", Branch: "add", Actor: "ada"}},
		{"gitlab merge request", []string{"GITLAB_CI=true", "CI_COMMIT_SHA=abc", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID=1", "CI_MERGE_REQUEST_PROJECT_ID=1"},
			ci.Run{System: ci.GitLab, Commit: "abc"}},
		{"buildkite", append(buildkite, "BUILDKITE_JOB_ID=j"), ci.Run{System: ci.Buildkite, Commit: "abc", Subject: "Fix it",
			ID: "7", Link: "https://buildkite.com/o/p/builds/7#j", Repository: "o/r", Branch: "fix", Actor: "Ada"}},
		{"buildkite fork", append(buildkite, "BUILDKITE_PULL_REQUEST_REPO=git://github.com/them/r.git"), ci.Run{System: ci.Buildkite, Commit: "abc", Subject: "Fix it",
			ID: "7", Link: "https://buildkite.com/o/p/builds/7", Repository: "o/r", Branch: "fix", Actor: "Ada", Fork: true}},
		{"buildkite pull request, head not known", []string{"BUILDKITE=true", "BUILDKITE_COMMIT=HEAD", "BUILDKITE_REPO=https://github.com/o/r", "BUILDKITE_PULL_REQUEST_REPO=git@github.com:o/r.git"},
			ci.Run{System: ci.Buildkite, Repository: "o/r"}},
		{"azure", azure, ci.Run{System: ci.Azure, Commit: "abc", Subject: "Fix it", ID: "7", Link: link, Repository: "o/r", Branch: "fix", Actor: "Ada"}},
		{"azure fork", append(azure, "SYSTEM_PULLREQUEST_SOURCECOMMITID=head", "SYSTEM_PULLREQUEST_ISFORK=True", "SYSTEM_PULLREQUEST_SOURCEBRANCH=refs/heads/add"),
			ci.Run{System: ci.Azure, Commit: "head", Fork: true, ID: "7", Link: link, Repository: "o/r", Branch: "add", Actor: "Ada"}},
		{"teamcity", []string{"TEAMCITY_VERSION=2025.11", "BUILD_VCS_NUMBER=abc", "BUILD_URL=https://t.example/build/7", "BUILD_NUMBER=7"},
			ci.Run{System: ci.TeamCity, Commit: "abc", ID: "7", Link: "https://t.example/build/7"}},
		{"bitbucket", []string{"BITBUCKET_BUILD_NUMBER=7", "BITBUCKET_COMMIT=abc", "BITBUCKET_REPO_FULL_NAME=o/r", "BITBUCKET_BRANCH=fix",
			"BITBUCKET_GIT_HTTP_ORIGIN=https://bitbucket.org/o/r"}, ci.Run{System: ci.Bitbucket, Commit: "abc", Repository: "o/r", Branch: "fix",
			ID: "7", Link: "https://bitbucket.org/o/r/pipelines/results/7"}},
		{"woodpecker, with the variables of Drone", woodpecker, ci.Run{System: ci.Woodpecker, Commit: "abc", Subject: "Fix it",
			ID: "7", Link: "https://w.example/repos/1/pipeline/7", Repository: "o/r", Branch: "fix", Actor: "ada"}},
		{"crow", []string{"CI=crow", "CI_COMMIT_SHA=abc"}, ci.Run{System: ci.Woodpecker, Commit: "abc"}},
		{"drone", []string{"CI=true", "DRONE=true", "DRONE_COMMIT_SHA=abc", "DRONE_COMMIT_MESSAGE=Fix it", "DRONE_BUILD_LINK=https://d.example/o/r/7", "DRONE_BUILD_NUMBER=7", "DRONE_REPO=o/r",
			"DRONE_COMMIT_BRANCH=main", "DRONE_SOURCE_BRANCH=fix", "DRONE_BUILD_TRIGGER=ada"}, ci.Run{System: ci.Drone, Commit: "abc", Subject: "Fix it",
			ID: "7", Link: "https://d.example/o/r/7", Repository: "o/r", Branch: "fix", Actor: "ada"}},
		{"github before others", []string{"GITHUB_ACTIONS=true", "GITLAB_CI=true", "DRONE=true"}, ci.Run{System: ci.GitHub}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, ci.Detect(test.environ)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestInputsElsewhere(t *testing.T) {
	names := []string{"build-args", "password", "app"}
	tests := []struct {
		name    string
		environ []string
		want    map[string]string
	}{
		{"buildkite plugin", []string{"BUILDKITE=true", "BUILDKITE_PLUGIN_CONVOX_CI_APP=web", "CONVOX_APP=other",
			"BUILDKITE_PLUGIN_CONVOX_CI_BUILD_ARGS_0=A=1, 2", "BUILDKITE_PLUGIN_CONVOX_CI_BUILD_ARGS_1=B=", "BUILDKITE_PLUGIN_CONVOX_CI_BUILD_ARGS_3=D=4"},
			map[string]string{"app": "web", "build-args": "A=1, 2\nB="}},
		{"that of Woodpecker first", []string{"BUILDKITE=true", "BUILDKITE_PLUGIN_CONVOX_CI_APP=web", "PLUGIN_APP=first"}, map[string]string{"app": "first"}},
		{"a list as one text", []string{"BUILDKITE=true", "BUILDKITE_PLUGIN_CONVOX_CI_BUILD_ARGS=A=1", "BUILDKITE_PLUGIN_CONVOX_CI_BUILD_ARGS_0=B=2"},
			map[string]string{"build-args": "A=1"}},
		{"no list of another variable", []string{"BUILDKITE=true", "CONVOX_BUILD_ARGS_0=A=1"}, map[string]string{}},
		{"bitbucket pipe", []string{"BITBUCKET_BUILD_NUMBER=1", "CONVOX_BUILD_ARGS_COUNT=2", "CONVOX_BUILD_ARGS_0=A=1", "CONVOX_BUILD_ARGS_1=B=2"},
			map[string]string{"build-args": "A=1\nB=2"}},
		{"no pipe", []string{"CONVOX_BUILD_ARGS_COUNT=1", "CONVOX_BUILD_ARGS_0=A=1"}, map[string]string{}},
		{"azure secret that is not there", []string{"TF_BUILD=True", "CONVOX_PASSWORD=$(CONVOX_KEY)", "CONVOX_APP=$(App.Name)"}, map[string]string{}},
		{"the next one counts", []string{"TF_BUILD=True", "INPUT_APP=$(app)", "CONVOX_APP=web", "CONVOX_PASSWORD=$(a)$(b)"},
			map[string]string{"app": "web", "password": "$(a)$(b)"}},
		{"elsewhere it is a text", []string{"CONVOX_APP=$(app)"}, map[string]string{"app": "$(app)"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, ci.Inputs(test.environ, names)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
