package ecr_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/sirupsen/logrus"

	"github.com/convox-ci/convox-ci/internal/registry"
	"github.com/convox-ci/convox-ci/internal/registry/ecr"
	"github.com/convox-ci/convox-ci/internal/registry/ecr/ecrtest"
)

func TestMain(m *testing.M) {
	logrus.SetOutput(io.Discard) // the registry's own log
	os.Exit(m.Run())
}

// clock is a time that only moves when it is told to.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// lab is a stand-in for ECR and a service that asks it.
type lab struct {
	*clock
	fake    *ecrtest.Fake
	host    string // where the stand-in listens
	service *ecr.Service
	config  aws.Config
}

// awsHost is how the stand-in's registry would be named on AWS.
const awsHost = ecrtest.Account + ".dkr.ecr." + ecrtest.Region + ".amazonaws.com"

func start(t *testing.T) *lab {
	t.Helper()
	l := &lab{clock: &clock{at: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}}
	l.fake = ecrtest.New(t.Context(), t.TempDir(), l.now)
	server := httptest.NewServer(l.fake)
	t.Cleanup(server.Close)
	l.host = strings.TrimPrefix(server.URL, "http://")
	l.config = aws.Config{
		Region: ecrtest.Region, BaseEndpoint: &server.URL,
		Credentials: credentials.NewStaticCredentialsProvider(ecrtest.AccessKey, "secret", ""),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
			})
		},
	}
	l.service = l.with(l.config)
	return l
}

// with is another service of the same stand-in.
func (l *lab) with(c aws.Config) *ecr.Service {
	return ecr.New(ecr.Options{Config: func(context.Context) (aws.Config, error) { return c, nil }, Now: l.now})
}

// open opens the registry of the credentials.
func (l *lab) open(t *testing.T) *ecr.Registry {
	t.Helper()
	r, err := l.service.Open(t.Context(), "", "office")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// client moves images by the service.
func (l *lab) client() *registry.Client {
	return &registry.Client{Keychain: l.service, Transport: l.service.Transport(http.DefaultTransport), Cloud: l.service}
}

// named is a client to which the host on AWS leads to the stand-in.
func (l *lab) named() *registry.Client {
	direct := http.DefaultTransport.(*http.Transport).Clone()
	direct.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, l.host)
	}
	return &registry.Client{Keychain: l.service, Transport: l.service.Transport(plainly{direct}), Cloud: l.service}
}

// plainly asks without TLS what is to be asked with it.
type plainly struct{ next http.RoundTripper }

func (p plainly) RoundTrip(r *http.Request) (*http.Response, error) {
	again := r.Clone(r.Context())
	again.URL.Scheme = "http"
	res, err := p.next.RoundTrip(again)
	if res != nil {
		res.Request = r
	}
	return res, err
}

// imageOf writes an image of layers of random bytes to a layout.
func imageOf(t *testing.T, layers int64) string {
	t.Helper()
	img, err := random.Image(1<<10, layers)
	if err != nil {
		t.Fatal(err)
	}
	p, err := layout.Write(t.TempDir(), empty.Index)
	if err == nil {
		err = p.AppendImage(img)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(p)
}

// tokens counts the tokens that were asked for.
func (l *lab) tokens() int { return l.fake.Seen()[ecrtest.Seen{Action: "ecr:GetAuthorizationToken"}] }

// authorization is what an authenticator has now.
func authorization(t *testing.T, a authn.Authenticator) *authn.AuthConfig {
	t.Helper()
	c, err := authn.Authorization(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
