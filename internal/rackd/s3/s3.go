// Package s3 keeps the objects of a rack in a bucket on Amazon S3, under the keys
// that v2 racks have for them.
package s3

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/refusal"
)

// Options are what a [Store] is made of.
type Options struct {
	// Config has the credentials of AWS and the region of the bucket.
	Config aws.Config
	// Bucket is where the objects are.
	Bucket string
	// Prefix is what all keys begin with, up to a slash that is added; "" for
	// nothing.
	Prefix string
	// App is the only app that objects are kept of. Its keys are those that a v2
	// rack has in the bucket of an app. Without it all apps are in the bucket, each
	// under its name.
	App string
}

// Store is the objects of a rack in one bucket.
type Store struct {
	api    *s3.Client
	config aws.Config
	bucket string
	prefix string // "" or with a slash behind it
	app    string
}

var _ rackd.Objects = (*Store)(nil)

// bucketName is what S3 takes, as far as a pattern can say it.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// maxPrefix is how long a prefix may be, in bytes: the name of an app and a key
// have to follow.
const maxPrefix = 200

// New makes a store. It asks nothing: see [Store.Check].
func New(o Options) (*Store, error) {
	prefix := strings.Trim(o.Prefix, "/")
	switch {
	case !bucketName.MatchString(o.Bucket) || strings.Contains(o.Bucket, ".."):
		return nil, fmt.Errorf("%q cannot be the name of a bucket: 3 to 63 of a-z, 0-9, - and . are allowed", o.Bucket)
	case len(prefix) > maxPrefix || !utf8.ValidString(prefix) || garbled(prefix):
		return nil, fmt.Errorf("%q cannot be the beginning of keys: at most %d bytes of UTF-8 are allowed, without control characters and parts that are dots", prefix, maxPrefix)
	case o.Config.Region == "":
		return nil, &Error{Kind: ErrRegion, Bucket: o.Bucket, Text: "none is set: name that of the bucket, or set AWS_REGION"}
	case o.Config.Credentials == nil:
		return nil, &Error{Kind: ErrNoCredentials, Bucket: o.Bucket}
	}
	if prefix != "" {
		prefix += "/"
	}
	api := s3.NewFromConfig(o.Config, func(s *s3.Options) {
		// Emulators and endpoints in a network have no name for each bucket.
		s.UsePathStyle = s.BaseEndpoint != nil
		// Of what was stored in parts there is no checksum of the whole; TLS and the
		// length watch over it.
		s.DisableLogOutputChecksumValidationSkipped = true
	})
	return &Store{api: api, config: o.Config, bucket: o.Bucket, prefix: prefix, app: o.App}, nil
}

// Name is where the objects are, as an input names it.
func (s *Store) Name() string { return strings.TrimSuffix("s3://"+s.bucket+"/"+s.prefix, "/") }

// Check finds out whether the bucket is there, in the region it is looked for in,
// and may be used.
func (s *Store) Check(ctx context.Context) error {
	if _, err := s.config.Credentials.Retrieve(ctx); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return &Error{Kind: ErrNoCredentials, Bucket: s.bucket, Text: refusal.OneLine(err.Error())}
	}
	return s.look(ctx, nil)
}

// look asks for a key of the bucket: unlike the call that is made for the purpose,
// this one says why it is refused. owner is who the bucket must belong to, nil for
// anybody.
func (s *Store) look(ctx context.Context, owner *string) error {
	_, err := s.api.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: &s.prefix, MaxKeys: aws.Int32(1), ExpectedBucketOwner: owner})
	return s.explain(ctx, err, "s3:ListBucket", "")
}

// errOnlyApp is the error for another app than that of the bucket.
var errOnlyApp = errors.New("the bucket is that of another app")
