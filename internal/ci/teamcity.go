package ci

import (
	"fmt"
	"strings"
)

// teamcity is TeamCity, which takes everything as messages in the log.
//
// https://www.jetbrains.com/help/teamcity/service-messages.html
type teamcity struct{ plain }

// teamcityGrammar: a message counts anywhere in a line.
func teamcityGrammar() grammar { return grammar{marks: []string{"##teamcity["}} }

// teamcityMessage renders a message: attributes in pairs of name and value.
func teamcityMessage(name string, attributes ...string) string {
	var b strings.Builder
	b.WriteString("##teamcity[" + name)
	for i := 0; i < len(attributes); i += 2 {
		fmt.Fprintf(&b, " %s='%s'", attributes[i], teamcityEscape(attributes[i+1]))
	}
	return b.String() + "]\n"
}

// teamcityEscape keeps a text within its quotes and its line. The last three are
// line ends of Unicode.
func teamcityEscape(text string) string {
	return strings.NewReplacer("|", "||", "'", "|'", "[", "|[", "]", "|]", "\n", "|n", "\r", "|r",
		"\u0085", "|0x0085", "\u2028", "|0x2028", "\u2029", "|0x2029").Replace(text)
}

func (teamcity) group(title string) (open, end string) {
	name := grammar{}.harmless(title)
	return teamcityMessage("blockOpened", "name", name), teamcityMessage("blockClosed", "name", name)
}

// note is a line of a colour, or what the build failed of.
func (teamcity) note(n note) string {
	const maxProblem = 4000 // characters, never fewer bytes
	text := strings.TrimRight(n.message, "\n")
	if place := n.place(); place != "" {
		text = place + ": " + text
	}
	switch n.level {
	case LevelError:
		return teamcityMessage("buildProblem", "description", cut(text, maxProblem))
	case LevelWarning:
		return teamcityMessage("message", "text", text, "status", "WARNING")
	}
	return ""
}

// output sets parameters that later steps of the build have as variables.
func (teamcity) output(name, value string) (string, error) {
	var messages strings.Builder
	for _, variable := range exports(name) {
		messages.WriteString(teamcityMessage("setParameter", "name", "env."+variable, "value", value))
	}
	return messages.String(), nil
}

// teamcityRun reads TeamCity's variables. There is one for the commit only where
// the build has one repository, and none for its message.
//
// https://www.jetbrains.com/help/teamcity/predefined-build-parameters.html
func teamcityRun(env map[string]string) Run {
	return Run{System: TeamCity, Commit: env["BUILD_VCS_NUMBER"], ID: env["BUILD_NUMBER"], Link: env["BUILD_URL"]}
}
