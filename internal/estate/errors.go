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

// ErrDenied is the kind of the error for what good credentials may not do. Other kinds
// are those of package refusal.
var ErrDenied = errors.New("access denied")

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
		return fmt.Errorf("AWS cannot be asked (%s on %s): %w", action, on, refusal.Unasked(err))
	}
	code, text := answer.ErrorCode(), refusal.OneLine(answer.ErrorMessage())
	switch {
	case isMissing(code, text):
		return fmt.Errorf("%w %s", ErrNoStack, strings.TrimPrefix(on, "the stack "))
	case slices.Contains([]string{"AccessDenied", "AccessDeniedException", "AuthorizationError"}, code):
		who := ""
		if user, _, _ := refusal.Denied(text); user != "" {
			who = " to " + user
		}
		return fmt.Errorf("AWS: %w: grant %s on %s%s", ErrDenied, action, on, who)
	case slices.Contains([]string{"InvalidClientTokenId", "SignatureDoesNotMatch", "IncompleteSignature", "MissingAuthenticationToken", "ExpiredToken", "RequestExpired"}, code):
		return fmt.Errorf("AWS: %w: %s (%s on %s)", refusal.ErrCredentials, code, action, on)
	case refusal.IsBusy(code):
		return fmt.Errorf("AWS: %w: %s: %s (%s on %s)", refusal.ErrBusy, code, text, action, on)
	}
	return fmt.Errorf("AWS: %s: %s (%s on %s)", code, text, action, on)
}
