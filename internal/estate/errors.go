package estate

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/smithy-go"
)

// Kinds of what AWS refuses; errors.Is finds them.
var (
	ErrDenied        = errors.New("access denied")         // the credentials are good and may not do it
	ErrNoCredentials = errors.New("no credentials of AWS") // AWS does not know them, or they have expired
)

// explain says what an error of a call is that a permission is needed for. nil stays
// nil. Answers about signatures are left out: they repeat the request.
func explain(ctx context.Context, err error, action, on string) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	answer, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return fmt.Errorf("AWS cannot be asked (%s on %s): %w", action, on, err)
	}
	code, text := answer.ErrorCode(), oneLine(answer.ErrorMessage())
	switch {
	case isMissing(code, text):
		return fmt.Errorf("%w: %s", ErrNoStack, strings.TrimPrefix(on, "the stack "))
	case slices.Contains([]string{"AccessDenied", "AccessDeniedException", "AuthorizationError"}, code):
		who := ""
		if m := denied.FindStringSubmatch(text); m != nil {
			who = " to " + m[1]
		}
		return fmt.Errorf("AWS: %w: grant %s on %s%s", ErrDenied, action, on, who)
	case slices.Contains([]string{"InvalidClientTokenId", "SignatureDoesNotMatch", "IncompleteSignature", "MissingAuthenticationToken", "ExpiredToken", "RequestExpired"}, code):
		return fmt.Errorf("AWS: %w that it takes: %s (%s on %s)", ErrNoCredentials, code, action, on)
	}
	return fmt.Errorf("AWS: %s: %s (%s on %s)", code, text, action, on)
}

// denied are the words in which AWS says who may not do something.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
var denied = regexp.MustCompile(`User: (arn:\S+) is not authorized`)

// maxText is how much of a message an error repeats, in bytes.
const maxText = 1 << 10

func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return strings.ToValidUTF8(text[:min(len(text), maxText)], "")
}
