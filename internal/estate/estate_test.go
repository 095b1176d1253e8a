package estate

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/estate/estatetest"
	"github.com/convox-ci/convox-ci/internal/rack"
)

const region = "eu-central-1"

// lab is a stand-in for CloudFormation and SNS, with the stacks of a rack.
func lab(t *testing.T) (*estatetest.Fake, aws.Config) {
	t.Helper()
	f := estatetest.New(region)
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.Put(rackStack())
	f.Put(appStack())
	return f, aws.Config{Region: region, BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider(estatetest.AccessKey, "secret", ""),
		HTTPClient: http.DefaultClient, Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
			})
		}}
}

func rackStack() estatetest.Stack {
	return estatetest.Stack{Name: "acme", Tags: map[string]string{"System": "convox", "Type": "rack"}, Outputs: map[string]string{
		"DynamoBuilds": "acme-builds", "DynamoReleases": "acme-releases", "SettingsBucket": "acme-settings", "EncryptionKey": "key", "NotificationTopic": "topic"}}
}

func appStack() estatetest.Stack {
	return estatetest.Stack{Name: "acme-web", Tags: map[string]string{"System": "convox", "Type": "app", "Rack": "acme", "Name": "web", "Generation": "2"},
		Resources: [][2]string{{"A", "a"}, {"Registry", "repo"}, {"B", "b"}, {"Settings", "bucket"}, {"C", "c"}}}
}

// TestFind: all pages are read, and one at a time is enough.
func TestFind(t *testing.T) {
	f, config := lab(t)
	want := found{repository: "repo", bucket: "bucket", rackBucket: "acme-settings", builds: "acme-builds", releases: "acme-releases", key: "key", topic: "topic"}
	for _, size := range []int{1, 2, 0} {
		f.PageSize = size
		if got, err := find(t.Context(), config, "acme", "web"); err != nil || got != want {
			t.Errorf("pages of %d: %+v, %v", size, got, err)
		}
	}
	seen := f.Seen()
	for value, cached := range map[string]bool{"Yes": true, "No": false, "": false} {
		s := rackStack()
		s.Parameters = map[string]string{"BuildMethod": "fargate", "BuildCacheCleanup": "Yes", "BuildCache": value}
		f.Put(s)
		want.cached = cached
		if got, err := find(t.Context(), config, "acme", "web"); err != nil || got != want {
			t.Errorf("BuildCache=%s: %+v, %v", value, got, err)
		}
	}
	const stack = "arn:aws:cloudformation:" + region + ":" + estatetest.Account + ":stack/"
	if d := cmp.Diff(map[estatetest.Seen]int{
		{Action: "cloudformation:DescribeStacks", Resource: stack + "acme/*"}: 3, {Action: "cloudformation:DescribeStacks", Resource: stack + "acme-web/*"}: 3,
		{Action: "cloudformation:ListStackResources", Resource: stack + "acme-web/*"}: 5 + 3 + 1,
	}, seen); d != "" {
		t.Error(d)
	}
}

// TestFindFaults: what is not as it has to be is said in one line that names it.
func TestFindFaults(t *testing.T) {
	without := func(m map[string]string, name string) map[string]string {
		m = maps.Clone(m)
		delete(m, name)
		return m
	}
	tests := map[string]func(f *estatetest.Fake, rack, app *string, config *aws.Config){
		"^there is no stack other in eu-central-1, in the account of the credentials of AWS: are both, and the names of the rack and the app, right[?]$": func(_ *estatetest.Fake, r, _ *string, _ *aws.Config) { *r = "other" },
		"^there is no stack acme-api in eu-central-1, in": func(_ *estatetest.Fake, _, a *string, _ *aws.Config) { *a = "api" },
		`^"a/b" cannot be the name of a stack$`:           func(_ *estatetest.Fake, r, _ *string, _ *aws.Config) { *r = "a/b" },
		`^"" cannot be the name of a stack$`:              func(_ *estatetest.Fake, r, _ *string, _ *aws.Config) { *r = "" },
		`^"acme-w_b" cannot be the name of a stack$`:      func(_ *estatetest.Fake, _, a *string, _ *aws.Config) { *a = "w_b" },
		"AWS: the credentials are not accepted: Inval": func(_ *estatetest.Fake, _, _ *string, c *aws.Config) {
			c.Credentials = credentials.NewStaticCredentialsProvider("other", "secret", "")
		},
		"AWS: access denied: grant cloudformation:DescribeStacks on the stack acme to " + estatetest.User: func(f *estatetest.Fake, _, _ *string, _ *aws.Config) {
			f.Deny("cloudformation:DescribeStacks", true)
		},
		"AWS: access denied: grant cloudformation:ListStackResources on the stack acme-web to ": func(f *estatetest.Fake, _, _ *string, _ *aws.Config) {
			f.Deny("cloudformation:ListStackResources", true)
		},
	}
	for _, tag := range []string{"System", "Type"} {
		tests[`the stack acme in eu-central-1 has the tag `+tag+`="", and not `+tag+`=`] = func(f *estatetest.Fake, _, _ *string, _ *aws.Config) {
			s := rackStack()
			s.Tags = without(s.Tags, tag)
			f.Put(s)
		}
	}
	for _, tag := range []string{"System", "Type", "Rack", "Name", "Generation"} {
		tests[`the stack acme-web in eu-central-1 has the tag `+tag+`="", and not `+tag+`=`] = func(f *estatetest.Fake, _, _ *string, _ *aws.Config) {
			s := appStack()
			s.Tags = without(s.Tags, tag)
			f.Put(s)
		}
	}
	for _, name := range []string{"DynamoBuilds", "DynamoReleases", "SettingsBucket", "EncryptionKey"} {
		tests["the stack acme in eu-central-1 has no output "+name+": is it"] = func(f *estatetest.Fake, _, _ *string, _ *aws.Config) {
			s := rackStack()
			s.Outputs = without(s.Outputs, name)
			f.Put(s)
		}
	}
	for i, name := range map[int]string{1: "Registry", 3: "Settings"} {
		tests["the stack acme-web in eu-central-1 has no resource "+name+": has it"] = func(f *estatetest.Fake, _, _ *string, _ *aws.Config) {
			s := appStack()
			s.Resources[i] = [2]string{"Other", "x"}
			f.Put(s)
		}
	}
	for want, set := range tests {
		f, config := lab(t)
		rackName, app := "acme", "web"
		set(f, &rackName, &app, &config)
		_, err := find(t.Context(), config, rackName, app)
		if err == nil || !regexp.MustCompile(want).MatchString(err.Error()) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestFindIsCancelled: the cause is what is said.
func TestFindIsCancelled(t *testing.T) {
	_, config := lab(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	cancel(cause)
	if _, err := find(ctx, config, "acme", "web"); !errors.Is(err, cause) {
		t.Error(err)
	}
}

// TestTellBuilt: what is said has the form in which a v2 Rack says it; a Rack without
// a topic tells nobody.
func TestTellBuilt(t *testing.T) {
	f, config := lab(t)
	e := &Estate{config: config, rack: "acme", topic: f.MakeTopic("acme-notifications")}
	b := rack.Build{ID: "BABCDEFGHIJ", App: "web", Release: "RABCDEFGHIJ"}
	if err := e.TellBuilt(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	want := regexp.MustCompile(`^build:create \{"action":"build:create","data":\{"app":"web","id":"BABCDEFGHIJ","rack":"acme","release_id":"RABCDEFGHIJ"\},"status":"success","timestamp":"\d{4}-[^"]+Z"\}$`)
	if heard := f.Heard(e.topic); len(heard) != 1 || !want.MatchString(heard[0]) {
		t.Errorf("heard %q", heard)
	}
	f.Deny("sns:Publish", true)
	if err := e.TellBuilt(t.Context(), b); !errors.Is(err, ErrDenied) || !strings.Contains(err.Error(), "grant sns:Publish on "+e.topic+" to "+estatetest.User) {
		t.Error(err)
	}
	e.topic = ""
	if err := e.TellBuilt(t.Context(), b); err != nil {
		t.Error(err)
	}
}
