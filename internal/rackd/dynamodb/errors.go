package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/smithy-go"

	"github.com/convox-ci/convox-ci/internal/refusal"
)

// Kinds of what goes wrong with DynamoDB; errors.Is finds them in an [*Error].
var (
	ErrDenied        = errors.New("access denied")                          // the credentials are good and may not do it
	ErrNoCredentials = errors.New("no credentials of AWS")                  // none were found, or AWS does not know them
	ErrExpired       = errors.New("the credentials have expired")           // and there are no newer ones
	ErrNoTable       = errors.New("no such table")                          // in this account and region
	ErrThrottled     = errors.New("asked for more than the table allows")   // after the SDK has tried again
	ErrDamaged       = errors.New("an item is not what it has to be")       // something else has changed it
	errOther         = errors.New("the answer of DynamoDB is not expected") // what else it refuses
)

// Error is what DynamoDB refuses, cannot be asked, or has stored wrong.
type Error struct {
	Kind   error  // one of the kinds above
	Action string // in the words of policies, dynamodb:GetItem
	Table  string
	Index  string // of the table; "" for the table itself
	User   string // who was not let, an ARN; "" if unknown
	Text   string // what DynamoDB or the SDK said; "" for nothing that helps
}

// Error says what is wrong with which table, and of a lacking permission which one
// to grant.
func (e *Error) Error() string {
	on := "the table " + e.Table
	if e.Index != "" {
		on = "the index " + e.Index + " of " + on
	}
	if e.Kind == ErrDenied {
		text := fmt.Sprintf("DynamoDB: %v: grant %s on %s", e.Kind, e.Action, on)
		if e.User != "" {
			text += " to " + e.User
		}
		return text // what DynamoDB said is this
	}
	text := fmt.Sprintf("DynamoDB: %v (%s on %s)", e.Kind, e.Action, on)
	if e.Text != "" {
		text += ": " + e.Text
	}
	return text
}

// Unwrap gives the kind, and the kind that package refusal has for it.
func (e *Error) Unwrap() []error {
	switch e.Kind {
	case ErrNoCredentials, ErrExpired:
		return []error{e.Kind, refusal.ErrCredentials}
	case ErrThrottled:
		return []error{e.Kind, refusal.ErrBusy}
	}
	return []error{e.Kind}
}

// call is what was asked of the API: each names the permission that it needs.
type call struct{ operation, table, index string }

func (c call) failed(kind error, text string) *Error {
	return &Error{Kind: kind, Action: "dynamodb:" + c.operation, Table: c.table, Index: c.index, Text: text}
}

// kinds sorts the codes of errors.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
var kinds = map[string]error{
	"AccessDeniedException":                  ErrDenied,
	"IncompleteSignatureException":           ErrNoCredentials,
	"InvalidSignatureException":              ErrNoCredentials,
	"MissingAuthenticationTokenException":    ErrNoCredentials,
	"UnrecognizedClientException":            ErrNoCredentials,
	"ExpiredTokenException":                  ErrExpired,
	"ResourceNotFoundException":              ErrNoTable,
	"LimitExceededException":                 ErrThrottled,
	"ProvisionedThroughputExceededException": ErrThrottled,
	"RequestLimitExceeded":                   ErrThrottled,
	"ThrottlingException":                    ErrThrottled,
}

// explain says what an error of the API is. Answers about signatures are left out:
// they repeat the request, with its token.
func explain(ctx context.Context, err error, c call) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	answer, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		if text, ok := unsigned(err); ok {
			return c.failed(ErrNoCredentials, text)
		}
		return fmt.Errorf("DynamoDB cannot be asked (dynamodb:%s on the table %s): %w", c.operation, c.table, refusal.Unasked(err))
	}
	kind, known := kinds[answer.ErrorCode()]
	switch {
	case !known && refusal.IsBusy(answer.ErrorCode()):
		return c.failed(refusal.ErrBusy, refusal.OneLine(answer.ErrorCode()+": "+answer.ErrorMessage()))
	case !known:
		return c.failed(errOther, refusal.OneLine(answer.ErrorCode()+": "+answer.ErrorMessage()))
	case kind == ErrDenied:
		e := c.failed(kind, "")
		e.User, _, _ = refusal.Denied(answer.ErrorMessage())
		return e
	case kind == ErrNoCredentials:
		return c.failed(kind, answer.ErrorCode())
	}
	return c.failed(kind, refusal.OneLine(answer.ErrorMessage()))
}

// unsigned tells why a call failed before it was made, if that is since there are no
// credentials for it.
func unsigned(err error) (string, bool) {
	operation, ok := errors.AsType[*smithy.OperationError](err)
	if !ok {
		return "", false
	}
	_, why, ok := strings.Cut(operation.Err.Error(), "get credentials: ") // the SDK has no type for it
	return refusal.OneLine(why), ok
}
