package rack

import (
	"regexp"
	"strings"
)

// This file holds what the generations of racks do differently.

// onV3 tells whether an app is on a rack of generation 3 (Kubernetes). All
// others are v2 racks (CloudFormation), whose oldest apps are of generation 1;
// the embedded rack is one.
func (a App) onV3() bool { return a.Generation == "3" }

// missingV3 is how a v3 rack says that something does not exist: the words of
// its cluster, with the id in lower case and the status 500.
var missingV3 = regexp.MustCompile(`^(?:(?:builds|releases)\.convox\.com|pods) "[^"]*" not found$`)

// versionV2 is the form of the versions of v2 racks, and of racks that take
// themselves for such.
var versionV2 = regexp.MustCompile(`^[0-9]{14}$`)

// Takes tells whether a rack can import the archive of a build. A v2 rack refuses
// one of v3 after all of it was sent; a v3 rack makes a build without images of
// one of v2, and calls it complete. Embedded racks take both; so does, as far as
// is known, a rack of no known generation, and any rack an unknown layout.
func (s System) Takes(l ArchiveLayout) bool {
	switch {
	case l == ArchiveUnknown || s.embedded():
		return true
	case versionV2.MatchString(s.Version):
		return l == ArchiveV2
	case versionV3.MatchString(s.Version):
		return l == ArchiveV3
	}
	return true
}

// embedded tells racks that are this program.
func (s System) embedded() bool { return s.Provider == "local" && s.Type == "local" }

// TakesExternal tells whether a rack knows builds that are made elsewhere, and names
// a repository for them. A v2 rack takes one for a build of no source, which fails.
func (s System) TakesExternal() bool { return s.embedded() || !versionV2.MatchString(s.Version) }

// versionV3 is the form of the versions of v3 racks.
var versionV3 = regexp.MustCompile(`^3\.[0-9]+\.`)

// changesReleaseAtPromote tells whether an app shows a new release as its own
// when the promote begins (v3) and not when it has ended (v2).
func changesReleaseAtPromote(a App) bool { return a.onV3() }

// For are the options as the rack that app is on must be told them, and a line
// for a person about each that it will not heed.
//
// A v2 rack hands each build argument to its builder as a word. A v3 rack pastes
// them into a command line that is taken apart like a shell's, so they are quoted
// there, or a space would begin another option; and it takes no-cache the wrong
// way round.
func (o BuildOptions) For(app App) (told BuildOptions, unheeded []string) {
	if !app.onV3() {
		return o, nil
	}
	o.cacheInverted = true
	args := make([]string, len(o.BuildArgs))
	for i, a := range o.BuildArgs {
		args[i] = shellWord(a)
	}
	o.BuildArgs = args
	if o.WildcardDomain != nil {
		o.WildcardDomain = nil
		unheeded = append(unheeded, "wildcard-domain: this is a v3 rack, which has no such option; nothing is changed by it")
	}
	return o, unheeded
}

// plainWord is text that no shell takes for more than itself.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:=@%+,-]+$`)

// shellWord is text as one word of a shell.
func shellWord(text string) string {
	if plainWord.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// CommandLine is the text of a command whose words are given. Racks of both
// generations take it apart into the same words again, but that the shell of a v2
// rack takes NAME=VALUE before the command for a variable.
func CommandLine(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = shellWord(w)
	}
	return strings.Join(quoted, " ")
}

// EntrypointLine is the text that a build records of the words that an image starts
// with. Of what is no text there is U+FFFD in it.
func EntrypointLine(words []string) string {
	return strings.ToValidUTF8(CommandLine(words), "\uFFFD")
}

// script is a command for a rack that has the shell of a container run a script.
// v2 racks hand each command to it; v3 racks have to be told.
func (a App) script(text string) string {
	if a.onV3() {
		return CommandLine([]string{"sh", "-c", text})
	}
	return text
}

// Fit is a command as the rack that the app is on can be told it, which is in the
// header of a request: on one line, without control characters. The error is a
// [*CommandError].
func (a App) Fit(command string) (string, error) {
	lines := strings.ContainsAny(command, "\r\n")
	switch {
	case strings.ContainsFunc(command, func(r rune) bool { return r != '\t' && r != '\n' && r != '\r' && (r < ' ' || r == 0x7f) }):
		return "", &CommandError{"has a control character in it, which a Rack cannot be told"}
	case lines && a.onV3():
		return "", &CommandError{"has a line break in it, which a v3 Rack cannot be told; put the lines into a script of the image"}
	case lines:
		return "eval " + shellText(command), nil
	}
	return command, nil
}

// recorded is a command that leaves a record, and whether the rack is to put the
// entry point of the image before it. A v2 rack puts that before a shell, as it
// does with any command. A v3 rack would put it before ours and not before what
// the shell runs, so it is given to the shell.
func (a App) recorded(command, entrypoint, token string) (text string, prefix bool) {
	if !a.onV3() {
		return recording("eval "+shellText(command), token), true
	}
	return a.script(recording(`"$@"`, token)) + " sh " + strings.TrimSpace(entrypoint+" "+command), false
}
