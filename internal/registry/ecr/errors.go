package ecr

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/smithy-go"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/convox-ci/convox-ci/internal/refusal"
	"github.com/convox-ci/convox-ci/internal/registry"
)

// Kinds of what goes wrong with ECR; errors.Is finds them in an [*Error].
var (
	ErrDenied        = errors.New("access denied")                     // the credentials are good and may not do it; also [registry.ErrDenied]
	ErrNoCredentials = errors.New("no credentials of AWS")             // none were found, or AWS does not know them; also [registry.ErrDenied]
	ErrExpired       = errors.New("expired")                           // the token or the credentials, and there are no newer ones; also [registry.ErrDenied]
	ErrNoRepository  = errors.New("no such repository")                // also [registry.ErrNotFound]
	ErrImmutable     = errors.New("immutable tag")                     // the tag is there, and the repository lets none be moved
	ErrThrottled     = errors.New("asked too often")                   // after the SDK has tried again
	ErrRegion        = errors.New("wrong region")                      // the registry is in another one than was asked, or none is known
	errOther         = errors.New("the answer of ECR is not expected") // what else it refuses
)

// Error is what ECR refuses, or cannot be asked.
type Error struct {
	Kind     error  // one of the kinds above
	Action   string // in the words of policies, ecr:CreateRepository; "" if unknown
	Resource string // that it was for, an ARN; "" if unknown
	User     string // who was not let, an ARN; "" if unknown
	Text     string // what ECR or the SDK said; "" for nothing that helps
}

// Error says what is wrong, and of a lacking permission which one to grant.
func (e *Error) Error() string {
	text := "ECR: " + e.Kind.Error()
	if e.Action != "" {
		on := ""
		if e.Resource != "" {
			on = " on " + e.Resource
		}
		if e.Kind == ErrDenied {
			text += ": grant " + e.Action + on
			if e.User != "" {
				text += " to " + e.User
			}
			return text // what ECR said is this
		}
		text += " (" + e.Action + on + ")"
	}
	if e.Text != "" {
		text += ": " + e.Text
	}
	return text
}

// Unwrap gives the kind, and the kind that package registry has for it.
func (e *Error) Unwrap() []error {
	switch e.Kind {
	case ErrDenied:
		return []error{e.Kind, registry.ErrDenied}
	case ErrNoCredentials, ErrExpired:
		return []error{e.Kind, registry.ErrDenied, refusal.ErrCredentials}
	case ErrThrottled:
		return []error{e.Kind, refusal.ErrBusy}
	case ErrNoRepository:
		return []error{e.Kind, registry.ErrNotFound}
	}
	return []error{e.Kind}
}

// call is what was asked of the API.
type call struct {
	operation  string
	at         place
	repository string // "" for what concerns none
}

// resource is what a policy names to allow the call.
func (c call) resource() string {
	if c.repository == "" || c.at.account == "" || c.at.region == "" {
		return "*"
	}
	return c.at.arn(c.repository)
}

// explainAPI says what an error of the API is.
func explainAPI(ctx context.Context, err error, c call) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	e := &Error{Kind: errOther, Action: "ecr:" + c.operation, Resource: c.resource()}
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return fmt.Errorf("ECR cannot be asked (%s): %w", e.Action, refusal.Unasked(err))
	}
	e.Text = refusal.OneLine(api.ErrorMessage())
	e.Kind = kindOf(api.ErrorCode(), e.Text)
	if e.Kind == errOther || e.Kind == refusal.ErrBusy {
		e.Text = strings.TrimPrefix(api.ErrorCode()+": "+e.Text, ": ")
	}
	e.refine()
	return e
}

// kindOf sorts the codes of errors.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/CommonErrors.html
func kindOf(code, text string) error {
	is := func(codes ...string) bool { return slices.Contains(codes, code) }
	switch {
	case is("InvalidSignatureException", "SignatureDoesNotMatch") && strings.Contains(strings.ToLower(text), "region"):
		return ErrRegion
	case is("AccessDeniedException", "AccessDenied", "NotAuthorized", "UnauthorizedOperation", "OptInRequired"):
		return ErrDenied
	case is("UnrecognizedClientException", "InvalidClientTokenId", "IncompleteSignature", "IncompleteSignatureException",
		"InvalidSignatureException", "SignatureDoesNotMatch", "MissingAuthenticationTokenException", "MissingAuthenticationToken"):
		return ErrNoCredentials
	case is("ExpiredTokenException", "ExpiredToken", "RequestExpired"):
		return ErrExpired
	case is("RepositoryNotFoundException"):
		return ErrNoRepository
	case is("ImageTagAlreadyExistsException"):
		return ErrImmutable
	case is("ThrottlingException", "Throttling", "ThrottledException", "RequestThrottled", "TooManyRequestsException", "RequestLimitExceeded"):
		return ErrThrottled
	case refusal.IsBusy(code):
		return refusal.ErrBusy
	}
	return errOther
}

// Explain implements [registry.Cloud]. It is nil for what is no matter of ECR, or
// is said well enough already.
func (s *Service) Explain(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	answer, ok := errors.AsType[*transport.Error](err)
	if !ok || answer.Request == nil || answer.Request.URL == nil {
		return nil
	}
	host, repository := answer.Request.URL.Host, repositoryOf(answer.Request.URL.Path)
	at, ok := s.at(host)
	if !ok {
		return nil
	}
	e := explainAnswer(answer)
	if e == nil {
		return nil
	}
	if e.Kind == ErrNoRepository {
		s.forget(host, repository)
	}
	if e.Action == "" && e.Kind == ErrDenied {
		e.Action = actionOf(answer.Request)
	}
	switch {
	case e.Resource != "" || repository == "":
	case at.account == "":
		e.Resource = "the repository " + repository
	default:
		e.Resource = at.arn(repository)
	}
	return e
}

// explainAnswer says what an answer by the protocol of registries is.
func explainAnswer(answer *transport.Error) *Error {
	e := &Error{}
	code := ""
	if len(answer.Errors) > 0 {
		code, e.Text = string(answer.Errors[0].Code), refusal.OneLine(answer.Errors[0].Message)
	}
	switch {
	case code == "NAME_UNKNOWN":
		e.Kind = ErrNoRepository
	case code == "TAG_INVALID" && strings.Contains(e.Text, "immutable"):
		e.Kind = ErrImmutable
	case code == "TOOMANYREQUESTS" || answer.StatusCode == http.StatusTooManyRequests:
		e.Kind = ErrThrottled
	case expired.MatchString(e.Text):
		e.Kind = ErrExpired
	case answer.StatusCode == http.StatusUnauthorized:
		e.Kind = ErrNoCredentials
	case answer.StatusCode == http.StatusForbidden:
		e.Kind = ErrDenied
	default:
		return nil
	}
	e.refine()
	return e
}

// refine takes who may not do what out of the words.
func (e *Error) refine() {
	if user, action, resource := refusal.Denied(e.Text); e.Kind == ErrDenied && action != "" {
		e.User, e.Action, e.Resource = user, action, cmp.Or(resource, e.Resource)
	}
}

// pathOfRepository is what a path of the protocol begins with.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#endpoints
var pathOfRepository = regexp.MustCompile(`^/v2/(.+)/(blobs|manifests|tags)/`)

// actionOf is the permission that a request of the protocol needs, "" for others. The
// answer to HEAD does not say which one it was that lacked.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
func actionOf(r *http.Request) string {
	m := pathOfRepository.FindStringSubmatch(r.URL.Path)
	if m == nil || r.Method != http.MethodHead {
		return ""
	}
	return map[string]string{"blobs": "ecr:BatchCheckLayerAvailability", "manifests": "ecr:BatchGetImage"}[m[2]]
}

func repositoryOf(path string) string {
	if m := pathOfRepository.FindStringSubmatch(path); m != nil {
		return m[1]
	}
	return ""
}
