package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/refusal"
)

// Kinds of what goes wrong with S3; errors.Is finds them in an [*Error].
var (
	ErrDenied        = errors.New("access denied")                    // the credentials are good and may not do it
	ErrNoCredentials = errors.New("no credentials of AWS")            // none were found, or AWS does not know them
	ErrExpired       = errors.New("the credentials have expired")     // and there are no newer ones
	ErrNoBucket      = errors.New("no such bucket")                   // in the region that was asked, or in any
	ErrForeign       = errors.New("it belongs to another account")    // names of buckets are those of all accounts
	ErrThrottled     = errors.New("asked too often")                  // after the SDK has tried again
	ErrRegion        = errors.New("wrong region")                     // the bucket is in another one than was asked, or none is known
	errNoUpload      = errors.New("no such upload")                   // it was ended or given up
	errOwned         = errors.New("it is there already")              // and belongs to the account that wanted to make it
	errNoSetting     = errors.New("nothing is set")                   // of what a bucket can have set
	errOther         = errors.New("the answer of S3 is not expected") // what else it refuses
)

// Error is what S3 refuses, or cannot be asked.
type Error struct {
	Kind     error  // one of the kinds above
	Bucket   string // that it was about
	Action   string // in the words of policies, s3:PutObject; "" if unknown
	Resource string // that it was for, an ARN; "" if unknown
	User     string // who was not let, an ARN; "" if unknown
	Text     string // what S3 or the SDK said; "" for nothing that helps
}

// Error says what is wrong, and of a lacking permission which one to grant.
func (e *Error) Error() string {
	text := "S3: bucket " + e.Bucket + ": " + e.Kind.Error()
	if e.Kind == ErrDenied && e.Action != "" {
		text += ": grant " + e.Action + " on " + e.Resource
		if e.User != "" {
			text += " to " + e.User
		}
		return text // what S3 said is this
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

// arn is the name in policies of the bucket, or of what is in it.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-arn-format.html
func (s *Store) arn(name string) string {
	partition := "aws"
	switch {
	case strings.HasPrefix(s.config.Region, "cn-"):
		partition = "aws-cn"
	case strings.HasPrefix(s.config.Region, "us-gov-"):
		partition = "aws-us-gov"
	}
	arn := "arn:" + partition + ":s3:::" + s.bucket
	if name != "" {
		arn += "/" + name
	}
	return arn
}

// explain says what an error of a call is. name is the key that it was about, "" for
// the bucket itself. What is not there is [rack.ErrNotFound].
func (s *Store) explain(ctx context.Context, err error, action, name string) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return fmt.Errorf("S3 cannot be asked (%s, bucket %s): %w", action, s.bucket, refusal.Unasked(err))
	}
	if slices.Contains([]string{"NoSuchKey", "NotFound"}, api.ErrorCode()) && name != "" {
		return rack.ErrNotFound
	}
	text := api.ErrorMessage()
	if answer, ok := errors.AsType[*awshttp.ResponseError](err); ok && answer.HTTPResponse() != nil {
		// Where the bucket is stands in the head of many answers, and only helps in
		// those that say that it is not here.
		if at := answer.HTTPResponse().Header.Get("X-Amz-Bucket-Region"); at != "" && kindOf(api.ErrorCode()) == ErrRegion {
			text = "the bucket is in " + at + ", and was looked for in " + s.config.Region
		}
	}
	return s.refusal(api.ErrorCode(), text, action, name)
}

// refusal is the error for a code of S3 and its words.
func (s *Store) refusal(code, text, action, name string) error {
	e := &Error{Kind: kindOf(code), Bucket: s.bucket, Action: action, Resource: s.arn(name), Text: refusal.OneLine(text)}
	if e.Kind == errOther || e.Kind == refusal.ErrBusy {
		e.Text = strings.TrimPrefix(code+": "+e.Text, ": ")
	}
	if user, what, on := refusal.Denied(e.Text); what != "" && e.Kind == ErrDenied {
		e.User, e.Action, e.Resource = user, what, cmp.Or(on, e.Resource)
	}
	return e
}

// kindOf sorts the codes of errors. Answers to HEAD have no body, and so the SDK
// makes codes of their status.
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
func kindOf(code string) error {
	is := func(codes ...string) bool { return slices.Contains(codes, code) }
	switch {
	case is("AccessDenied", "AllAccessDisabled", "AccountProblem", "Forbidden"):
		return ErrDenied
	case is("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "MissingSecurityHeader", "NotSignedUp"):
		return ErrNoCredentials
	case is("ExpiredToken", "TokenRefreshRequired"):
		return ErrExpired
	case is("NoSuchBucket"):
		return ErrNoBucket
	case is("BucketAlreadyExists"):
		return ErrForeign
	case is("BucketAlreadyOwnedByYou"):
		return errOwned
	case is("NoSuchUpload"):
		return errNoUpload
	case is("NoSuchPublicAccessBlockConfiguration", "NoSuchLifecycleConfiguration", "ServerSideEncryptionConfigurationNotFoundError"):
		return errNoSetting
	case is("SlowDown", "Throttling", "RequestLimitExceeded", "TooManyRequests"):
		return ErrThrottled
	case is("PermanentRedirect", "TemporaryRedirect", "MovedPermanently", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"):
		return ErrRegion
	case refusal.IsBusy(code):
		return refusal.ErrBusy
	}
	return errOther
}
