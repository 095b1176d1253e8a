package s3_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/rackd/s3"
	"github.com/convox-ci/convox-ci/internal/rackd/s3/s3test"
	"github.com/convox-ci/convox-ci/internal/rackd/storetest"
)

const (
	bucket = "rack-objects"
	region = "eu-west-1"
)

// lab is a stand-in for S3 with one bucket, on loopback.
type lab struct {
	*testing.T
	fake   *s3test.Fake
	server *httptest.Server
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{T: t, fake: s3test.New()}
	l.server = httptest.NewServer(l.fake)
	t.Cleanup(l.server.Close)
	if err := l.fake.Make(bucket, region, true); err != nil {
		t.Fatal(err)
	}
	return l
}

// config is what the SDK would find for itself.
func (l *lab) config() aws.Config {
	return aws.Config{Region: region, BaseEndpoint: &l.server.URL, HTTPClient: l.server.Client(),
		Credentials: credentials.NewStaticCredentialsProvider(s3test.AccessKey, "secret", ""),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.RateLimiter = ratelimit.None
				o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
			})
		}}
}

func (l *lab) store(change ...func(*s3.Options)) *s3.Store {
	l.Helper()
	o := s3.Options{Config: l.config(), Bucket: bucket, Prefix: "/racks/office/"}
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
		l := newLab(t)
		return func() rackd.Stores { return rackd.Stores{Objects: l.store()} }
	})
}
