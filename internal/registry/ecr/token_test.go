package ecr_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/convox-ci/convox-ci/internal/registry"
	"github.com/convox-ci/convox-ci/internal/registry/ecr"
	"github.com/convox-ci/convox-ci/internal/registry/ecr/ecrtest"
)

func TestIsHost(t *testing.T) {
	for host, want := range map[string]bool{
		awsHost:                                 true,
		"1.dkr.ecr.cn-north-1.amazonaws.com.cn": true,
		"123456789012.dkr.ecr.us-gov-west-1.amazonaws.com":  true,
		"123456789012.dkr.ecr.us-east-1.amazonaws.com:443":  false,
		"123456789012.dkr.ecr.us-east-1.amazonaws.com.evil": false,
		"x.123456789012.dkr.ecr.us-east-1.amazonaws.com":    false,
		"123456789012.dkr.ecr.us.east-1.amazonaws.com":      false,
		"public.ecr.aws": false,
		"a123456789012.dkr.ecr.us-east-1.amazonaws.com":      false,
		"123456789012.dkr.ecr.@evil.example/.amazonaws.com":  false,
		"123456789012.dkr.ecr.us-east-1xamazonaws.com":       false,
		"123456789012.dkr.ecr.us-east-1.amazonaws.com.cn.cn": false,
	} {
		if got := ecr.IsHost(host); got != want {
			t.Errorf("%s: %v", host, got)
		}
	}
}

// TestTokensAreKept: one is asked for until an hour before its end, and each
// registry has its own.
func TestTokensAreKept(t *testing.T) {
	l := start(t)
	a := l.service.Authenticator(awsHost, "", "")
	first := authorization(t, a)
	if first.Username != "AWS" || first.Password == "" {
		t.Fatalf("signs in with %q", first.Username)
	}
	l.pass(11*time.Hour - time.Second)
	if again := authorization(t, a); again.Password != first.Password || l.tokens() != 1 {
		t.Errorf("another token after %d requests", l.tokens())
	}
	l.pass(time.Second)
	if again := authorization(t, a); again.Password == first.Password || l.tokens() != 2 {
		t.Errorf("an hour before its end the token is the same, after %d requests", l.tokens())
	}
	l.fake.Know("AKIDOTHER", "arn:aws:iam::210987654321:user/other")
	authorization(t, l.service.Authenticator(awsHost, "AKIDOTHER", "secret"))
	if l.tokens() != 3 {
		t.Errorf("another access key got a token after %d requests", l.tokens())
	}
	if other := l.service.Authenticator("127.0.0.1:5000", "", ""); other != authn.Anonymous {
		t.Error("a registry that is none of ECR gets a token")
	}
}

// TestTokensAreAskedForOnce: those who need one at the same time get the same. Who
// gives up gets none, and takes it from nobody.
func TestTokensAreAskedForOnce(t *testing.T) {
	l := start(t)
	reached, release := make(chan struct{}), make(chan struct{})
	l.fake.Before("ecr:GetAuthorizationToken", func() { close(reached); <-release })
	a := l.service.Authenticator(awsHost, "", "")
	ctx, stop := context.WithCancelCause(t.Context())
	gone := make(chan error)
	go func() {
		_, err := authn.Authorization(ctx, a)
		gone <- err
	}()
	<-reached
	why := errors.New("no more time")
	stop(why)
	if err := <-gone; !errors.Is(err, why) {
		t.Errorf("who has given up got %v", err)
	}
	var all sync.WaitGroup
	passwords := make([]string, 20)
	for i := range passwords {
		all.Go(func() {
			c, err := authn.Authorization(t.Context(), a)
			if err != nil {
				t.Error(err)
				return
			}
			passwords[i] = c.Password
		})
	}
	close(release)
	all.Wait()
	for _, p := range passwords {
		if p == "" || p != passwords[0] {
			t.Errorf("tokens differ: %q", passwords)
			break
		}
	}
	if l.tokens() != 1 {
		t.Errorf("%d tokens were asked for", l.tokens())
	}
}

// TestPushOutlivesItsToken: whenever a token ends during a push, the push goes on
// with another one.
func TestPushOutlivesItsToken(t *testing.T) {
	for _, action := range []string{
		"ecr:BatchCheckLayerAvailability", "ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage",
	} {
		for how, end := range map[string]func(*lab){
			"revoked": func(l *lab) { l.fake.Revoke() },        // 401
			"expired": func(l *lab) { l.pass(12 * time.Hour) }, // 403, of which only the words tell
		} {
			t.Run(action+" "+how, func(t *testing.T) {
				l := start(t)
				r := l.open(t)
				if _, err := l.client().Push(t.Context(), imageOf(t, 1), r.Name()+"/web:before"); err != nil {
					t.Fatal(err)
				}
				before := l.tokens()
				l.fake.Before(action, func() { end(l) })
				if _, err := l.client().Push(t.Context(), imageOf(t, 4), r.Name()+"/web:main.B1"); err != nil {
					t.Fatal(err)
				}
				if got := l.tokens() - before; got != 1 {
					t.Errorf("%d tokens were asked for", got)
				}
			})
		}
	}
}

// TestTokensThatAreNeverTaken: it is not tried without end.
func TestTokensThatAreNeverTaken(t *testing.T) {
	l := start(t)
	r := l.open(t)
	if _, err := l.client().Push(t.Context(), imageOf(t, 1), r.Name()+"/web:before"); err != nil {
		t.Fatal(err)
	}
	before, asked := l.tokens(), 0
	var again func()
	again = func() {
		asked++
		l.fake.Revoke()
		l.fake.Before("ecr:BatchGetImage", again)
	}
	l.fake.Before("ecr:BatchGetImage", again)
	_, err := l.client().Image(t.Context(), r.Name()+"/web:before")
	if !errors.Is(err, ecr.ErrNoCredentials) || !errors.Is(err, registry.ErrDenied) {
		t.Errorf("error is %v", err)
	}
	if got := l.tokens() - before; asked != 2 || got != 1 {
		t.Errorf("asked %d times, with %d new tokens", asked, got)
	}
}

// TestForeignPasswordsAreLeftAlone: the way to registries changes nothing for
// those who do not have a token of the service.
func TestForeignPasswordsAreLeftAlone(t *testing.T) {
	l := start(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.host+"/v2/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("someone", "else")
	res, err := l.service.Transport(http.DefaultTransport).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized || l.tokens() != 0 {
		t.Errorf("status %d, %d tokens", res.StatusCode, l.tokens())
	}
	if res.Header.Get("Server") != ecrtest.Software {
		t.Errorf("the stand-in calls itself %q", res.Header.Get("Server"))
	}
}

// TestAccessKeysOfRegistries: what a rack keeps for a registry on ECR is an access
// key, of this account or of another.
func TestAccessKeysOfRegistries(t *testing.T) {
	l := start(t)
	l.fake.Know("AKIDOTHER", "arn:aws:iam::210987654321:user/other")
	if err := l.client().Login(t.Context(), "https://"+awsHost, "AKIDOTHER", "secret"); err != nil {
		t.Error(err)
	}
	if err := l.client().Login(t.Context(), awsHost, "AKIDNOBODY", "secret"); !errors.Is(err, registry.ErrDenied) || !errors.Is(err, ecr.ErrNoCredentials) {
		t.Errorf("of a key that AWS does not know: %v", err)
	}
}

// TestHostsOnAWS: what has a host on AWS is pushed to and pulled from by it.
func TestHostsOnAWS(t *testing.T) {
	l := start(t)
	l.fake.Endpoint = "https://" + awsHost
	r, err := l.service.Open(t.Context(), awsHost, "office")
	if err != nil {
		t.Fatal(err)
	}
	if r.Name() != awsHost+"/office" {
		t.Errorf("name is %s", r.Name())
	}
	if _, err := l.named().Push(t.Context(), imageOf(t, 1), r.Name()+"/web:main.B1"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.named().Image(t.Context(), r.Name()+"/web:main.B1"); err != nil {
		t.Error(err)
	}
	if !l.fake.ScansOnPush("office/web") {
		t.Error("the repository of an app does not scan what is pushed")
	}
	if l.tokens() != 1 {
		t.Errorf("%d tokens were asked for", l.tokens())
	}
	other, err := l.service.Open(t.Context(), "", "office")
	if err != nil || other.Name() != r.Name() {
		t.Errorf("the registry of the credentials is %v, %v", other, err)
	}
}
