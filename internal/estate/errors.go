package estate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/smithy-go"

	"github.com/convox-ci/convox-ci/internal/refusal"
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
	code, text := answer.ErrorCode(), refusal.OneLine(answer.ErrorMessage())
	switch {
	case isMissing(code, text):
		return fmt.Errorf("%w: %s", ErrNoStack, strings.TrimPrefix(on, "the stack "))
	case slices.Contains([]string{"AccessDenied", "AccessDeniedException", "AuthorizationError"}, code):
		who := ""
		if user, _, _ := refusal.Denied(text); user != "" {
			who = " to " + user
		}
		return fmt.Errorf("AWS: %w: grant %s on %s%s", ErrDenied, action, on, who)
	case slices.Contains([]string{"InvalidClientTokenId", "SignatureDoesNotMatch", "IncompleteSignature", "MissingAuthenticationToken", "ExpiredToken", "RequestExpired"}, code):
		return fmt.Errorf("AWS: %w that it takes: %s (%s on %s)", ErrNoCredentials, code, action, on)
	}
	return fmt.Errorf("AWS: %s: %s (%s on %s)", code, text, action, on)
}
