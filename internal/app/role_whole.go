//go:build !carrier

package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/convox-ci/convox-ci/internal/oidc"
)

// assumed are the credentials of a role. Each time they are wanted, the CI system is
// asked for a token that is fresh.
type assumed struct {
	account *account
	sts     *sts.Client
}

// heldToken is a token that was got already.
type heldToken string

// GetIdentityToken implements [stscreds.IdentityTokenRetriever].
func (t heldToken) GetIdentityToken() ([]byte, error) { return []byte(t), nil }

// Retrieve implements [aws.CredentialsProvider]. Its errors have no token in them.
func (r *assumed) Retrieve(ctx context.Context) (aws.Credentials, error) {
	a := r.account
	token, err := a.tokens.Token(ctx)
	if err != nil {
		return aws.Credentials{}, &roleError{err}
	}
	a.mask(token)
	claims, err := oidc.Parse(token)
	if err != nil {
		return aws.Credentials{}, &roleError{err}
	}
	of := stscreds.NewWebIdentityRoleProvider(r.sts, a.role.Role, heldToken(token), func(o *stscreds.WebIdentityRoleOptions) {
		o.RoleSessionName, o.Duration = a.session, time.Duration(a.role.Duration)*time.Second
	})
	c, err := of.Retrieve(ctx)
	if err != nil {
		err = explainSTS(ctx, err, a.role.Role, claims)
		return c, &roleError{errors.New(strings.ReplaceAll(err.Error(), token, "***"))}
	}
	return c, nil
}

// roleError says why a role could not be assumed.
type roleError struct{ error }

func (e *roleError) Unwrap() error { return e.error }

// explainSTS says what an error of STS means, and what would have to be set.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html#API_AssumeRoleWithWebIdentity_Errors
func explainSTS(ctx context.Context, err error, role string, c oidc.Claims) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	said, ok := errors.AsType[interface {
		error
		ErrorCode() string
		ErrorMessage() string
	}](err)
	if !ok {
		return fmt.Errorf("STS cannot be asked for %s: %w", role, err)
	}
	host := strings.TrimPrefix(c.Issuer, "https://")
	text := strings.Join(strings.Fields(said.ErrorMessage()), " ")
	switch code := said.ErrorCode(); {
	case code == "AccessDenied":
		return fmt.Errorf("AWS does not let this job be %s: its trust policy has to allow sts:AssumeRoleWithWebIdentity to the provider %s where %s:aud is %s and %s:sub is %q",
			role, host, host, c.For(), host, c.Subject)
	case code == "InvalidIdentityToken" && strings.Contains(text, "No OpenIDConnect provider"):
		return fmt.Errorf("the account of %s has no identity provider for the tokens of this job: make one in IAM for %s with the audience %s", role, c.Issuer, c.For())
	case code == "InvalidIdentityToken" && strings.Contains(text, "audience"):
		return fmt.Errorf("the identity provider %s in the account of %s does not have the audience of this job's token: add %s to it, or set the input audience to one that it has", host, role, c.For())
	case code == "ExpiredTokenException", code == "ExpiredToken":
		return fmt.Errorf("the token that %s gave to this job has expired, and there is no newer one: it has to be used while it lasts, and role-duration-seconds has to last to the end of the job", c.Issuer)
	case code == "ValidationError" && strings.Contains(text, "MaxSessionDuration"):
		return fmt.Errorf("role-duration-seconds is longer than %s allows: raise the maximum session duration of the role, or ask for less", role)
	case code == "InvalidIdentityToken":
		return fmt.Errorf("AWS does not take the token of this job for %s (%s, issued by %s for %s)", role, text, c.Issuer, c.For())
	default:
		return fmt.Errorf("STS gives no credentials for %s: %s: %s", role, code, text)
	}
}
