package ecr_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/convox-ci/convox-ci/internal/registry"
	"github.com/convox-ci/convox-ci/internal/registry/ecr"
	"github.com/convox-ci/convox-ci/internal/registry/ecr/ecrtest"
)

// TestErrors is the table of what goes wrong: the kind, the kind of package
// registry, and the words.
func TestErrors(t *testing.T) {
	const arn = "arn:aws:ecr:us-east-1:123456789012:repository/"
	push := func(l *lab, t *testing.T) error {
		_, err := l.named().Push(t.Context(), imageOf(t, 1), awsHost+"/office/web:main.B1")
		return err
	}
	open := func(l *lab, t *testing.T) error {
		_, err := l.service.Open(t.Context(), awsHost, "office")
		return err
	}
	opened := func(l *lab, t *testing.T) *ecr.Repository {
		r, err := l.service.Open(t.Context(), awsHost, "office")
		if err != nil {
			t.Fatal(err)
		}
		c, err := r.Repository("office-build-cache")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for name, test := range map[string]struct {
		do         func(l *lab, t *testing.T) error
		kind, also error
		text       string
	}{
		"no permission for a call": {func(l *lab, t *testing.T) error {
			l.fake.Deny("ecr:CreateRepository")
			_, err := opened(l, t).Create(t.Context())
			return err
		}, ecr.ErrDenied, registry.ErrDenied, "ECR: access denied: grant ecr:CreateRepository on " + arn + "office-build-cache to " + ecrtest.User},
		"no permission for tokens": {func(l *lab, t *testing.T) error {
			l.fake.Deny("ecr:GetAuthorizationToken")
			return open(l, t)
		}, ecr.ErrDenied, registry.ErrDenied, "ECR: access denied: grant ecr:GetAuthorizationToken on * to " + ecrtest.User},
		"no permission to push": {func(l *lab, t *testing.T) error {
			opened(l, t)
			l.fake.Deny("ecr:InitiateLayerUpload")
			return push(l, t)
		}, ecr.ErrDenied, registry.ErrDenied, "ECR: access denied: grant ecr:InitiateLayerUpload on " + arn + "office/web to " + ecrtest.User},
		"no such repository": {func(l *lab, t *testing.T) error {
			return opened(l, t).Retain(t.Context(), 1)
		}, ecr.ErrNoRepository, registry.ErrNotFound, "ECR: no such repository (ecr:PutLifecyclePolicy on " + arn + "office-build-cache): " +
			"The repository with name 'office-build-cache' does not exist in the registry with id '123456789012'"},
		"no such repository to push to": {push, ecr.ErrNoRepository, registry.ErrNotFound,
			"ECR: no such repository: The repository with name 'office/web' does not exist in the registry with id '123456789012'"},
		"an immutable tag": {func(l *lab, t *testing.T) error {
			opened(l, t)
			l.fake.Make("office/web", true)
			if err := push(l, t); err != nil {
				t.Fatal(err)
			}
			return push(l, t)
		}, ecr.ErrImmutable, nil, "ECR: immutable tag: The image tag 'main.B1' already exists in the 'office/web' repository and cannot be overwritten because the tag is immutable."},
		"throttled": {func(l *lab, t *testing.T) error {
			c := opened(l, t)
			l.fake.Throttle(3)
			return c.Delete(t.Context())
		}, ecr.ErrThrottled, nil, "ECR: asked too often (ecr:DeleteRepository on " + arn + "office-build-cache): Rate exceeded"},
		"throttled twice": {func(l *lab, t *testing.T) error {
			c := opened(l, t)
			l.fake.Throttle(2) // and taken at the third try of the SDK
			return c.Delete(t.Context())
		}, nil, nil, ""},
		"a token that has expired": {func(l *lab, t *testing.T) error {
			if err := errors.Join(open(l, t), push(l, t)); err != nil {
				t.Fatal(err)
			}
			var again func()
			again = func() { l.pass(12 * time.Hour); l.fake.Before("ecr:BatchGetImage", again) }
			l.fake.Before("ecr:BatchGetImage", again)
			_, err := l.named().Image(t.Context(), awsHost+"/office/web:main.B1")
			return err
		}, ecr.ErrExpired, registry.ErrDenied, "ECR: expired: Your authorization token has expired. Reauthenticate and try again."},
		"another region": {func(l *lab, t *testing.T) error {
			_, err := l.service.Open(t.Context(), strings.Replace(awsHost, "us-east-1", "eu-west-1", 1), "office")
			return err
		}, ecr.ErrRegion, nil, "ECR: wrong region (ecr:GetAuthorizationToken on *): Credential should be scoped to a valid region."},
		"an answer for another region": {func(l *lab, t *testing.T) error {
			l.fake.Endpoint = "https://" + strings.Replace(awsHost, "us-east-1", "eu-west-1", 1)
			return open(l, t)
		}, ecr.ErrRegion, nil, "ECR: wrong region: asked for registry 123456789012 in us-east-1, ECR has answered for 123456789012.dkr.ecr.eu-west-1.amazonaws.com"},
		"no region": {func(l *lab, t *testing.T) error {
			l.config.Region = ""
			_, err := l.with(l.config).Open(t.Context(), "", "office")
			return err
		}, ecr.ErrRegion, nil, "ECR: wrong region: none is set: name the host of the registry, or set AWS_REGION"},
		"no credentials": {func(l *lab, t *testing.T) error {
			l.config.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{}, errors.New("none in the variables, none in the files")
			})
			l.service = l.with(l.config)
			return open(l, t)
		}, ecr.ErrNoCredentials, registry.ErrDenied, "ECR: no credentials of AWS: none in the variables, none in the files"},
		"no credentials at a push": {func(l *lab, t *testing.T) error {
			l.config.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{}, errors.New("none in the variables, none in the files")
			})
			l.service = l.with(l.config)
			return push(l, t)
		}, ecr.ErrNoCredentials, registry.ErrDenied, "ECR: no credentials of AWS: none in the variables, none in the files"},
		"credentials that AWS does not know": {func(l *lab, t *testing.T) error {
			l.config.Credentials = credentials.NewStaticCredentialsProvider("AKIDNOBODY", "hush", "")
			l.service = l.with(l.config)
			return open(l, t)
		}, ecr.ErrNoCredentials, registry.ErrDenied, "ECR: no credentials of AWS (ecr:GetAuthorizationToken on *): The security token included in the request is invalid."},
		"an account without a registry": {func(l *lab, t *testing.T) error {
			_, err := l.service.Open(t.Context(), strings.Replace(awsHost, "123", "999", 1), "office")
			return err
		}, nil, nil, "ECR: the answer of ECR is not expected (ecr:GetAuthorizationToken on *): InvalidParameterException: Invalid parameter at 'registryIds'"},
	} {
		t.Run(name, func(t *testing.T) {
			l := start(t)
			l.fake.Endpoint = "https://" + awsHost
			err := test.do(l, t)
			if err == nil || test.text == "" {
				if err != nil || test.text != "" {
					t.Fatalf("error is %v, want %q", err, test.text)
				}
				return
			}
			if err.Error() != test.text {
				t.Errorf("error is\n%s\nwant\n%s", err, test.text)
			}
			for _, kind := range []error{ecr.ErrDenied, ecr.ErrNoCredentials, ecr.ErrExpired, ecr.ErrNoRepository, ecr.ErrImmutable, ecr.ErrThrottled, ecr.ErrRegion,
				registry.ErrDenied, registry.ErrNotFound} {
				if want := kind == test.kind || kind == test.also; errors.Is(err, kind) != want {
					t.Errorf("it is %q: %v", kind, !want)
				}
			}
		})
	}
}

// TestEndedContexts: who does not wait any longer hears why, and not what became of
// the request.
func TestEndedContexts(t *testing.T) {
	l := start(t)
	c := l.cache(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the build was cancelled")
	l.fake.Before("ecr:DeleteRepository", func() { cancel(why); <-ctx.Done() })
	if err := c.Delete(ctx); !errors.Is(err, why) {
		t.Errorf("error is %v", err)
	}
}
