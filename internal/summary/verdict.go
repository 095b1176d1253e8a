package summary

import (
	"cmp"
	"strconv"
	"strings"
	"time"
)

// verdict is how a run has ended, as a mark and in a word or two.
type verdict struct{ mark, words string }

// verdicts are those of the output status that say the same of every verb.
var verdicts = map[string]verdict{
	"failed":      {"❌", "failed"},
	"timeout":     {"⌛", "timed out"},
	"cancelled":   {"🚫", "cancelled"},
	"rolled-back": {"⏪", "rolled back"},
	"superseded":  {"⏩", "superseded by another release"},
	"unknown":     {"❓", "ended in a way that nobody could see"},
}

// verdict reads the outputs; r.mu is held.
func (r *Report) verdict() verdict {
	status, promoted := r.values["status"], r.values["promoted"]
	v, ended := verdicts[status]
	switch {
	case ended && promoted == "true":
		return verdict{v.mark, v.words + ", though the release is live"}
	case ended:
		return v
	case status == "":
		return verdicts["failed"]
	case promoted == "true":
		return verdict{"✅", "live"}
	case promoted == "false":
		return verdict{"⏳", "begun, and not waited for"}
	case r.values["release"] != "":
		return verdict{"✅", "built"}
	}
	return verdict{"✅", "done"}
}

// lasted tells how long the run took, if that was more than a moment.
func (r *Report) lasted() string {
	n, err := strconv.Atoi(r.values["duration"])
	if err != nil || n < 1 {
		return ""
	}
	return " after " + (time.Duration(n) * time.Second).String()
}

// well tells whether there is nothing to be looked into.
func (v verdict) well() bool { return v.mark == "✅" || v.mark == "⏳" }

// title is the heading without its mark; show makes a text of others fit for it.
func (r *Report) title(show func(text string, limit int) string) string {
	verb := cmp.Or(r.Run.Verb, "run")
	title := strings.ToUpper(verb[:1]) + verb[1:]
	if app := r.values["app"]; app != "" {
		title += " of " + show(app, maxName)
	}
	if rack := r.values["rack"]; rack != "" {
		title += " on " + show(rack, maxName)
	}
	return title
}

// next is the command that shows more of what went wrong, word by word; nil if
// there is none. Words that a shell would take apart are left to the person.
func (r *Report) next() []string {
	v := r.values
	var command []string
	switch {
	case r.verdict().well() || v["app"] == "":
		return nil
	case v["build"] != "" && v["release"] == "":
		command = []string{"builds", "logs", v["build"]}
	case v["release"] != "" && v["promoted"] == "false" && (v["status"] == "superseded" || v["status"] == "cancelled"):
		command = []string{"releases"}
	case v["release"] != "" || v["process"] != "":
		command = []string{"logs"}
	default:
		return nil
	}
	command = append(append([]string{"convox-ci"}, command...), "--app", v["app"])
	if v["rack"] != "" {
		command = append(command, "--rack", v["rack"])
	}
	return command
}
