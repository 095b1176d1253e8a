// Package refusal reads what services of AWS say when they refuse something.
package refusal

import (
	"errors"
	"net"
	"regexp"
	"strings"
)

// Kinds that errors of all services have, beside their own.
var (
	ErrCredentials = errors.New("the credentials are not accepted")                       // they are unknown, or have expired
	ErrBusy        = errors.New("it cannot answer just now, also when it is asked again") // for too many requests, or a fault of its own
)

// busy are the codes of [ErrBusy], all of which the SDK tries again. Of answers
// without a code it makes one of their status.
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
var busy = regexp.MustCompile(`^(?:.*Throttl(?:ed|ing)(?:Exception)?|ProvisionedThroughputExceededException|RequestLimitExceeded|LimitExceededException|TooManyRequests(?:Exception)?|SlowDown|` +
	`InternalError|InternalFailure|InternalServer(?:Error|Exception)|KMSInternalException|DependencyTimeoutException|RequestTimeout(?:Exception)?|` +
	`Server(?:Unavailable)?Exception|ServiceUnavailable(?:Exception)?|BadGateway|GatewayTimeout)$`)

// IsBusy tells whether the code of an error is one of [ErrBusy].
func IsBusy(code string) bool { return busy.MatchString(code) }

// Unasked is an error of a call that got no answer: [ErrBusy] where that is a matter
// of the network.
func Unasked(err error) error {
	if _, ok := errors.AsType[net.Error](err); ok {
		return unasked{err}
	}
	return err
}

type unasked struct{ error }

func (u unasked) Unwrap() []error { return []error{u.error, ErrBusy} }

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
