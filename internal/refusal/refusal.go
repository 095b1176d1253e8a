// Package refusal reads what services of AWS say when they refuse something.
package refusal

import (
	"regexp"
	"strings"
)

// MaxText is how much of a message [OneLine] keeps, in bytes.
const MaxText = 1 << 10

// OneLine makes one line of UTF-8 of what a service says, cut to [MaxText] bytes.
func OneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return strings.ToValidUTF8(text[:min(len(text), MaxText)], "")
}

// denial are the words in which AWS says that somebody may not do something.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
var denial = regexp.MustCompile(`User: (arn:\S+) is not authorized(?: to perform: ([a-z0-9-]+:[A-Za-z]+)(?: on resource: "?([^\s"]+)"?)?)?`)

// Denied gives who may not do what on which resource: two ARNs, and an action in the
// words of policies. What a message does not say is "".
func Denied(message string) (user, action, resource string) {
	if m := denial.FindStringSubmatch(message); m != nil {
		return m[1], m[2], m[3]
	}
	return "", "", ""
}
