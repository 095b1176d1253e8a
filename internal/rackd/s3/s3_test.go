package s3_test

import (
	"crypto/rand"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/rackd/s3"
	"github.com/convox-ci/convox-ci/internal/rackd/s3/s3test"
	"github.com/convox-ci/convox-ci/internal/rackd/storetest"
)

const (
	bucket = "rack-objects"
	region = "eu-west-1"
)

// outside names another S3 than the stand-in, as http://KEY:SECRET@HOST, for the tests
// that need no more of it than S3 itself has.
const outside = "CONVOX_CI_TEST_S3"

// lab is a stand-in for S3 with one bucket, on loopback.
type lab struct {
	*testing.T
	fake   *s3test.Fake // nil for a server that is none
	server *httptest.Server
	bucket string
	url    string
	keys   aws.CredentialsProvider
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{T: t, fake: s3test.New(), bucket: bucket, keys: credentials.NewStaticCredentialsProvider(s3test.AccessKey, "secret", "")}
	l.server = httptest.NewServer(l.fake)
	t.Cleanup(l.server.Close)
	l.url = l.server.URL
	if err := l.fake.Make(bucket, region, true); err != nil {
		t.Fatal(err)
	}
	return l
}

// newPlainLab is one that may be another S3 than the stand-in: with a new bucket there.
func newPlainLab(t *testing.T) *lab {
	t.Helper()
	text := os.Getenv(outside)
	if text == "" {
		return newLab(t)
	}
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	secret, _ := u.User.Password()
	l := &lab{T: t, bucket: "b" + strings.ToLower(rand.Text()), url: "http://" + u.Host, keys: credentials.NewStaticCredentialsProvider(u.User.Username(), secret, "")}
	api := sdk.NewFromConfig(l.config(), func(o *sdk.Options) { o.UsePathStyle = true })
	if _, err := api.CreateBucket(t.Context(), &sdk.CreateBucketInput{Bucket: &l.bucket}); err != nil {
		t.Fatal(err)
	}
	return l
}

// config is what the SDK would find for itself.
func (l *lab) config() aws.Config {
	return aws.Config{Region: region, BaseEndpoint: &l.url, Credentials: l.keys,
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.RateLimiter = ratelimit.None
				o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
			})
		}}
}

func (l *lab) store(change ...func(*s3.Options)) *s3.Store {
	l.Helper()
	o := s3.Options{Config: l.config(), Bucket: l.bucket, Prefix: "/racks/office/"}
	for _, c := range change {
		c(&o)
	}
	s, err := s3.New(o)
	if err != nil {
		l.Fatal(err)
	}
	return s
}

func TestPromises(t *testing.T) {
	storetest.Objects(t, func(t *testing.T) func() rackd.Stores {
		l := newPlainLab(t)
		return func() rackd.Stores { return rackd.Stores{Objects: l.store()} }
	})
}
