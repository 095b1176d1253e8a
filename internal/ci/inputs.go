package ci

import (
	"fmt"
	"strings"
)

// Inputs looks names up in environ, in the form of [os.Environ]. Names are as
// in action.yml, with hyphens; inputs that are not set are absent from the
// result. For an input "no-cache" the first of these that is not empty counts:
//
//	INPUT_NO-CACHE                       GitHub's own name for it
//	INPUT_NO_CACHE                       the same where a shell dropped names with hyphens; the orb's
//	PLUGIN_NO_CACHE                      Woodpecker, Drone
//	BUILDKITE_PLUGIN_CONVOX_CI_NO_CACHE  Buildkite, for a plugin of the name convox-ci
//	CONVOX_NO_CACHE                      anywhere
//
// and last, for rack-url and release, RACK_URL and RELEASE. Empty is unset,
// because GitHub sets every declared input, the ones nobody gave to ""; and so is
// on Azure a reference to a variable that does not exist.
//
// Where a system makes one variable of each item of a list, the items are the
// lines of the value: NAME_0, NAME_1 and so on of a plugin on Buildkite, and
// beside NAME_COUNT of a pipe on Bitbucket. Woodpecker and Drone join the items of
// a list with commas, which may be part of an item; lists are given to them as
// one text of several lines.
//
// Values lose surrounding blanks, as in GitHub's own toolkit; those of password
// and rack-url only their trailing line ends, because a blank may belong to them.
//
// https://docs.github.com/en/actions/reference/workflows-and-actions/metadata-syntax#inputs
// https://buildkite.com/docs/pipelines/integrations/plugins/writing
// https://support.atlassian.com/bitbucket-cloud/docs/advanced-techniques-for-writing-pipes/
func Inputs(environ []string, names []string) map[string]string {
	env := parseEnviron(environ)
	system := systemOf(env)
	found := make(map[string]string)
	for _, name := range names {
		for _, variable := range variables(name) {
			value := cleanInput(name, firstOf(env[variable], items(env, system, variable)))
			if value != "" && !(system == Azure && azureUnset(value)) {
				found[name] = value
				break
			}
		}
	}
	return found
}

// buildkitePlugin is what the variables of a plugin begin with.
const buildkitePlugin = "BUILDKITE_PLUGIN_CONVOX_CI_"

// items returns a list that a system made variables of its own of, as lines; ""
// when there is none.
func items(env map[string]string, system, variable string) string {
	plugin := system == Buildkite && strings.HasPrefix(variable, buildkitePlugin)
	pipe := system == Bitbucket && env[variable+"_COUNT"] != ""
	if !plugin && !pipe {
		return ""
	}
	var lines []string
	for {
		item, ok := env[fmt.Sprintf("%s_%d", variable, len(lines))]
		if !ok {
			return strings.Join(lines, "\n")
		}
		lines = append(lines, item)
	}
}

// variables lists the environment variables of an input, the strongest first.
func variables(name string) []string {
	hyphens := strings.ToUpper(name)
	underscores := strings.ReplaceAll(hyphens, "-", "_")
	list := []string{"INPUT_" + hyphens, "INPUT_" + underscores, "PLUGIN_" + underscores, buildkitePlugin + underscores, "CONVOX_" + underscores}
	switch name {
	case "rack-url", "release": // what Convox's own tools call them
		list = append(list, underscores)
	}
	return list
}

// cleanInput takes off what did not come from the person: blanks and line ends
// around the value. Blanks alone are nothing.
func cleanInput(name, value string) string {
	trimmed := strings.TrimSpace(value)
	if trimmed == "" {
		return ""
	}
	switch name {
	case "password", "rack-url":
		return strings.TrimRight(value, "\r\n")
	}
	return trimmed
}
