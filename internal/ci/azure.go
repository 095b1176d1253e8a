package ci

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
)

// azure is Azure Pipelines, which takes everything as commands in the log.
//
// https://learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands
type azure struct{ plain }

// azureGrammar: the agent takes a command anywhere in a line, and the log viewer
// gives a meaning to "##[".
func azureGrammar() grammar { return grammar{marks: []string{"##vso[", "##["}} }

// azureCommand renders a command: properties in pairs of name and value, those
// without a value left out.
func azureCommand(name, data string, properties ...string) string {
	var list []string
	for i := 0; i < len(properties); i += 2 {
		if properties[i+1] != "" {
			list = append(list, properties[i]+"="+azureEscape(properties[i+1]))
		}
	}
	head := strings.TrimSpace(name + " " + strings.Join(list, ";"))
	return fmt.Sprintf("##vso[%s]%s\n", head, azureEscape(data))
}

// azureEscape keeps a text in its place, by the codes that the agent turns back.
//
// https://github.com/microsoft/azure-pipelines-agent/blob/master/docs/design/percentEncoding.md
func azureEscape(text string) string {
	return strings.NewReplacer("%", "%AZP25", ";", "%3B", "\r", "%0D", "\n", "%0A", "]", "%5D").Replace(text)
}

func (azure) mask(secret string) string { return azureCommand("task.setsecret", secret) }

func (azure) group(title string) (open, end string) {
	return "##[group]" + azureGrammar().harmless(title) + "\n", "##[endgroup]\n"
}

// note is an issue of the task, which can be a warning or an error. The lines of
// its message get into the log, where the viewer reads them.
func (azure) note(n note) string {
	if n.level == LevelNotice {
		return ""
	}
	line := ""
	if n.file != "" && n.line > 0 {
		line = strconv.Itoa(n.line)
	}
	message := strings.ReplaceAll(n.message, "##[", `##\[`)
	return azureCommand("task.logissue", message, "type", string(n.level), "sourcepath", filepath.ToSlash(n.file), "linenumber", line)
}

// output sets variables twice: under their own names they are in the environment
// of later steps of the job, and as outputs of a step that has a name they can be
// asked for in other jobs.
//
// https://learn.microsoft.com/azure/devops/pipelines/process/set-variables-scripts
func (azure) output(name, value string) (string, error) {
	var commands strings.Builder
	for _, variable := range exports(name) {
		commands.WriteString(azureCommand("task.setvariable", value, "variable", variable))
		commands.WriteString(azureCommand("task.setvariable", value, "variable", variable, "isOutput", "true"))
	}
	return commands.String(), nil
}

// azureRun reads Azure's predefined variables. Of a pull request, Build.SourceVersion
// is the test merge, and so is the message.
//
// https://learn.microsoft.com/azure/devops/pipelines/build/variables
func azureRun(env map[string]string) Run {
	run := Run{
		System:     Azure,
		Commit:     env["BUILD_SOURCEVERSION"],
		Subject:    firstLine(env["BUILD_SOURCEVERSIONMESSAGE"]),
		Fork:       strings.EqualFold(env["SYSTEM_PULLREQUEST_ISFORK"], "true"),
		ID:         env["BUILD_BUILDID"],
		Repository: env["BUILD_REPOSITORY_NAME"],
		Branch:     strings.TrimPrefix(firstOf(env["SYSTEM_PULLREQUEST_SOURCEBRANCH"], env["BUILD_SOURCEBRANCH"]), "refs/heads/"),
		Actor:      env["BUILD_REQUESTEDFOR"],
	}
	if head := env["SYSTEM_PULLREQUEST_SOURCECOMMITID"]; head != "" {
		run.Commit, run.Subject = head, ""
	}
	host, project, build := env["SYSTEM_COLLECTIONURI"], env["SYSTEM_TEAMPROJECT"], env["BUILD_BUILDID"]
	if host != "" && project != "" && build != "" {
		run.Link = fmt.Sprintf("%s/%s/_build/results?buildId=%s", strings.TrimSuffix(host, "/"), url.PathEscape(project), url.QueryEscape(build))
	}
	return run
}

// azureUnset tells a reference to a variable that does not exist: Azure leaves it
// as it stands. That is what a secret is in a pull request from a fork.
//
// https://learn.microsoft.com/azure/devops/pipelines/process/variables#understand-variable-syntax
func azureUnset(value string) bool {
	name, found := strings.CutPrefix(value, "$(")
	name, ended := strings.CutSuffix(name, ")")
	return found && ended && !strings.ContainsAny(name, "()\n ")
}
