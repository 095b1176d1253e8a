package ci

import "strings"

// Inputs looks names up in environ, in the form of [os.Environ]. Names are as
// in action.yml, with hyphens; inputs that are not set are absent from the
// result. For an input "no-cache" the first of these that is not empty counts:
//
//	INPUT_NO-CACHE     GitHub's own name for it
//	INPUT_NO_CACHE     the same where a shell dropped names with hyphens; the orb's
//	PLUGIN_NO_CACHE    Woodpecker, Drone
//	CONVOX_NO_CACHE    anywhere
//
// and last, for rack-url and release, RACK_URL and RELEASE. Empty is unset,
// because GitHub sets every declared input, the ones nobody gave to "".
//
// Values lose surrounding blanks, as in GitHub's own toolkit; those of password
// and rack-url only their trailing line ends, because a blank may belong to them.
//
// https://docs.github.com/en/actions/reference/workflows-and-actions/metadata-syntax#inputs
func Inputs(environ []string, names []string) map[string]string {
	env := parseEnviron(environ)
	found := make(map[string]string)
	for _, name := range names {
		for _, variable := range variables(name) {
			if value := cleanInput(name, env[variable]); value != "" {
				found[name] = value
				break
			}
		}
	}
	return found
}

// variables lists the environment variables of an input, the strongest first.
func variables(name string) []string {
	hyphens := strings.ToUpper(name)
	underscores := strings.ReplaceAll(hyphens, "-", "_")
	list := []string{"INPUT_" + hyphens, "INPUT_" + underscores, "PLUGIN_" + underscores, "CONVOX_" + underscores}
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
