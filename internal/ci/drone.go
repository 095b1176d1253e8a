package ci

import (
	"fmt"
	"strings"
)

// drone is Drone and Harness CI: a plain log, and on Harness a file of outputs.
//
// https://developer.harness.io/docs/continuous-integration/use-ci/use-drone-plugins/custom_plugins
type drone struct {
	plain
	file string // DRONE_OUTPUT; "" on Drone
	warn func(string)
}

// output appends lines to the file. Harness reads it by the rules of dotenv files
// or as lines, so only values go there that are the same by both.
func (d drone) output(name, value string) (string, error) {
	if d.file == "" || exports(name) == nil {
		return "", nil
	}
	if strings.ContainsAny(value, "\r\n#$\\\"'`") || strings.TrimSpace(value) != value {
		d.warn(fmt.Sprintf("output %s is not passed on: it has a character that Harness may read as something else", name))
		return "", nil
	}
	return "", appendOutput("DRONE_OUTPUT", d.file, name, assignments(name, value))
}

// droneRun reads Drone's variables, which Harness sets as well.
//
// https://docs.drone.io/pipeline/environment/reference/
func droneRun(env map[string]string) Run {
	return Run{
		System:     Drone,
		Commit:     firstOf(env["DRONE_COMMIT_SHA"], env["DRONE_COMMIT"]),
		Subject:    firstLine(firstOf(env["DRONE_PULL_REQUEST_TITLE"], env["DRONE_COMMIT_MESSAGE"])),
		ID:         env["DRONE_BUILD_NUMBER"],
		Link:       env["DRONE_BUILD_LINK"],
		Repository: env["DRONE_REPO"],
		Branch:     firstOf(env["DRONE_SOURCE_BRANCH"], env["DRONE_COMMIT_BRANCH"]),
		Actor:      env["DRONE_BUILD_TRIGGER"],
	}
}

// woodpeckerRun reads the variables of Woodpecker, and of Crow, which comes from
// it. Its log is plain, and files of the workspace are the only way to later steps.
//
// https://woodpecker-ci.org/docs/usage/environment
func woodpeckerRun(env map[string]string) Run {
	return Run{
		System:     Woodpecker,
		Commit:     env["CI_COMMIT_SHA"],
		Subject:    firstLine(firstOf(env["CI_COMMIT_PULL_REQUEST_TITLE"], env["CI_COMMIT_MESSAGE"])),
		ID:         env["CI_PIPELINE_NUMBER"],
		Link:       env["CI_PIPELINE_URL"],
		Repository: env["CI_REPO"],
		Branch:     firstOf(env["CI_COMMIT_SOURCE_BRANCH"], env["CI_COMMIT_BRANCH"]),
		Actor:      env["CI_COMMIT_AUTHOR"],
	}
}
