package kms

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/smithy-go"

	"github.com/convox-ci/convox-ci/internal/refusal"
)

// Kinds of what goes wrong with KMS; errors.Is finds them in an [*Error].
var (
	ErrDenied        = errors.New("access denied")                              // the credentials are good and may not do it
	ErrNoCredentials = errors.New("no credentials of AWS")                      // AWS does not know them
	ErrExpired       = errors.New("the credentials have expired")               // and there are no newer ones
	ErrNoKey         = errors.New("no such key")                                // in the region that was asked
	ErrUnusable      = errors.New("the key cannot be used")                     // it is switched off, about to be deleted, or not for this
	ErrThrottled     = errors.New("it cannot answer just now, try again later") // for too many requests or a fault of its own, after the SDK has tried again
	errCiphertext    = errors.New("sealed with another key")                    // or changed since
	errOther         = errors.New("the answer of KMS is not expected")          // what else it refuses
)

// Error is what KMS refuses.
type Error struct {
	Kind     error  // one of the kinds above
	Key      string // as it was named
	Action   string // in the words of policies, kms:Decrypt; "" if unknown
	Resource string // the ARN of the key; "" if unknown
	User     string // who was not let, an ARN; "" if unknown
	Text     string // what KMS said; "" for nothing that helps
}

// Error says what is wrong, and of a lacking permission which one to grant.
func (e *Error) Error() string {
	text := "KMS: key " + e.Key + ": " + e.Kind.Error()
	if e.Kind == ErrDenied {
		text += ": grant " + e.Action
		if e.Resource != "" {
			text += " on " + e.Resource
		}
		if e.User != "" {
			text += " to " + e.User
		}
		return text // what KMS said is this
	}
	if e.Action != "" {
		text += " (" + e.Action + ")"
	}
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

// explain says what an error of a call is.
func (k *Key) explain(ctx context.Context, err error, action string) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return fmt.Errorf("KMS cannot be asked (%s, key %s): %w", action, k.name, refusal.Unasked(err))
	}
	e := &Error{Kind: kindOf(api.ErrorCode()), Key: k.name, Action: action, Text: refusal.OneLine(api.ErrorMessage())}
	if e.Kind == errOther {
		e.Text = strings.TrimPrefix(api.ErrorCode()+": "+e.Text, ": ")
	}
	if user, what, on := refusal.Denied(e.Text); what != "" && e.Kind == ErrDenied {
		e.User, e.Action, e.Resource = user, what, on
	}
	return e
}

// kindOf sorts the codes of errors.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html#API_Decrypt_Errors
func kindOf(code string) error {
	is := func(codes ...string) bool { return slices.Contains(codes, code) }
	switch {
	case is("AccessDeniedException", "AccessDenied", "OptInRequired"):
		return ErrDenied
	case is("UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "IncompleteSignature", "MissingAuthenticationTokenException"):
		return ErrNoCredentials
	case is("ExpiredTokenException", "ExpiredToken", "RequestExpired"):
		return ErrExpired
	case is("NotFoundException", "InvalidArnException"):
		return ErrNoKey
	case is("DisabledException", "KMSInvalidStateException", "InvalidKeyUsageException", "KeyUnavailableException"):
		return ErrUnusable
	case is("ThrottlingException", "LimitExceededException", "KMSInternalException", "DependencyTimeoutException"):
		return ErrThrottled
	case is("InvalidCiphertextException", "IncorrectKeyException"):
		return errCiphertext
	}
	return errOther
}

// Permission is one action that an IAM policy has to allow on the key.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awskeymanagementservice.html
type Permission struct {
	Action string
	For    string // what it is needed for
}

// Permissions are all that sealing needs.
func Permissions() []Permission {
	return []Permission{
		{"kms:GenerateDataKey", "environments and passwords that are stored"},
		{"kms:Decrypt", "those that are read"},
	}
}
