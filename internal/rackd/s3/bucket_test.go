package s3_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd/s3"
	"github.com/convox-ci/convox-ci/internal/rackd/s3/s3test"
)

func named(bucket string) func(*s3.Options) { return func(o *s3.Options) { o.Bucket = bucket } }

func in(region string) func(*s3.Options) { return func(o *s3.Options) { o.Config.Region = region } }

func TestInit(t *testing.T) {
	for _, region := range []string{"us-east-1", "eu-west-1"} {
		l := newLab(t)
		s := l.store(named("new-bucket"), in(region))
		if err := s.Check(t.Context()); !errors.Is(err, s3.ErrNoBucket) {
			t.Errorf("check before: %v", err)
		}
		made, err := s.Init(t.Context())
		want := []string{"bucket new-bucket in " + region, "block of public access of bucket new-bucket", "encryption of bucket new-bucket",
			"removal of unfinished uploads after a day of bucket new-bucket"}
		if err != nil || !slices.Equal(made, want) {
			t.Errorf("made %q, %v", made, err)
		}
		for setting, words := range map[string][]string{
			"publicAccessBlock": {"<BlockPublicAcls>true", "<BlockPublicPolicy>true", "<IgnorePublicAcls>true", "<RestrictPublicBuckets>true"},
			"encryption":        {"<SSEAlgorithm>AES256"},
			"lifecycle":         {"<Prefix>racks/office/</Prefix>", "<DaysAfterInitiation>1<", "<Status>Enabled"},
		} {
			for _, w := range words {
				if got := l.fake.Setting("new-bucket", setting); !strings.Contains(got, w) {
					t.Errorf("%s is %s, without %s", setting, got, w)
				}
			}
		}
		if made, err := s.Init(t.Context()); err != nil || len(made) > 0 {
			t.Errorf("the second time: made %q, %v", made, err)
		}
		if err := s.Check(t.Context()); err != nil {
			t.Errorf("check after: %v", err)
		}
	}
}

// What somebody has set stays, and what a call that was cut off left out is made.
func TestInitOfABucketThatIsThere(t *testing.T) {
	l := newLab(t)
	const open = `<PublicAccessBlockConfiguration><BlockPublicAcls>false</BlockPublicAcls></PublicAccessBlockConfiguration>`
	l.fake.Set(bucket, "publicAccessBlock", open)
	l.fake.Set(bucket, "lifecycle", `<LifecycleConfiguration><Rule><ID>theirs</ID><Status>Enabled</Status><Filter><Prefix>old/</Prefix></Filter>`+
		`<Expiration><Days>3</Days></Expiration></Rule></LifecycleConfiguration>`)
	l.fake.Set(bucket, s3test.Smallest, "varies_by_storage_class")
	l.fake.Deny("s3:PutEncryptionConfiguration")
	s := l.store()
	if made, err := s.Init(t.Context()); !errors.Is(err, s3.ErrDenied) || len(made) > 0 {
		t.Errorf("made %q, %v", made, err)
	}
	l.fake.Allow("s3:PutEncryptionConfiguration")
	made, err := s.Init(t.Context())
	if err != nil || len(made) != 2 {
		t.Errorf("made %q, %v", made, err)
	}
	if got := l.fake.Setting(bucket, "publicAccessBlock"); got != open {
		t.Errorf("the block of public access is %s", got)
	}
	if got := l.fake.Setting(bucket, s3test.Smallest); got != "varies_by_storage_class" {
		t.Errorf("the smallest object that rules move is %s", got)
	}
	rules := l.fake.Setting(bucket, "lifecycle")
	for _, want := range []string{"<ID>theirs</ID>", "<Days>3</Days>", "<Prefix>old/</Prefix>", "<Prefix>racks/office/</Prefix>"} {
		if !strings.Contains(rules, want) {
			t.Errorf("the rules are %s, without %s", rules, want)
		}
	}
	// A second rack in the same bucket has a rule of its own, unless one is for all.
	other := l.store(func(o *s3.Options) { o.Prefix = "racks/home" })
	if made, err := other.Init(t.Context()); err != nil || len(made) != 1 {
		t.Errorf("for another rack: made %q, %v", made, err)
	}
	l.fake.Set(bucket, "lifecycle", `<LifecycleConfiguration><Rule><ID>all</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter>`+
		`<AbortIncompleteMultipartUpload><DaysAfterInitiation>9</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>`)
	if made, err := s.Init(t.Context()); err != nil || len(made) > 0 {
		t.Errorf("with a rule for all: made %q, %v", made, err)
	}
}

func TestBucketOfAnotherAccount(t *testing.T) {
	l := newLab(t)
	if err := l.fake.Make("theirs", region, false); err != nil {
		t.Fatal(err)
	}
	made, err := l.store(named("theirs")).Init(t.Context())
	want := "S3: bucket theirs: it belongs to another account: that of the credentials is " + s3test.Account + "; choose another name"
	if !errors.Is(err, s3.ErrForeign) || err.Error() != want || len(made) > 0 {
		t.Errorf("made %q, %v", made, err)
	}
	if got := l.fake.Setting("theirs", "lifecycle"); got != "" {
		t.Errorf("something was set: %s", got)
	}
}

func TestErrors(t *testing.T) {
	const objects = "arn:aws:s3:::rack-objects/racks/office/web/tmp/a"
	get := func(ctx context.Context, s *s3.Store) error { _, err := s.OpenObject(ctx, "web", "tmp/a"); return err }
	for name, test := range map[string]struct {
		change func(*lab, *s3.Options)
		do     func(context.Context, *s3.Store) error
		kind   error
		want   string
	}{
		"no permission to read": {func(l *lab, _ *s3.Options) { l.fake.Deny("s3:GetObject") }, get, s3.ErrDenied,
			"S3: bucket rack-objects: access denied: grant s3:GetObject on " + objects + " to " + s3test.User},
		"no permission to look": {func(l *lab, _ *s3.Options) { l.fake.Deny("s3:GetObject") },
			func(ctx context.Context, s *s3.Store) error { return s.RemoveObject(ctx, "web", "tmp/a") }, s3.ErrDenied,
			"S3: bucket rack-objects: access denied: grant s3:GetObject on " + objects}, // an answer to HEAD has no words
		"no permission to list": {func(l *lab, _ *s3.Options) { l.fake.Deny("s3:ListBucket") }, nil, s3.ErrDenied,
			"access denied: grant s3:ListBucket on arn:aws:s3:::rack-objects to " + s3test.User},
		"no permission to write": {func(l *lab, _ *s3.Options) { l.fake.Deny("s3:PutObject") },
			func(ctx context.Context, s *s3.Store) error {
				return s.PutObject(ctx, "web", "tmp/a", strings.NewReader(""))
			}, s3.ErrDenied, "grant s3:PutObject on " + objects},
		"another region": {func(_ *lab, o *s3.Options) { o.Config.Region = "us-west-2" }, nil, s3.ErrRegion,
			"S3: bucket rack-objects: wrong region (s3:ListBucket): the bucket is in eu-west-1, and was looked for in us-west-2"},
		"no bucket":           {func(_ *lab, o *s3.Options) { o.Bucket = "none" }, nil, s3.ErrNoBucket, "S3: bucket none: no such bucket (s3:ListBucket)"},
		"no bucket to get of": {func(_ *lab, o *s3.Options) { o.Bucket = "none" }, get, s3.ErrNoBucket, "S3: bucket none: no such bucket (s3:GetObject)"},
		"unknown credentials": {func(_ *lab, o *s3.Options) {
			o.Config.Credentials = credentials.NewStaticCredentialsProvider("AKIDOTHER", "secret", "")
		}, nil, s3.ErrNoCredentials, "no credentials of AWS (s3:ListBucket): The AWS Access Key Id you provided"},
		"credentials that are not found": {func(_ *lab, o *s3.Options) {
			o.Config.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{}, errors.New("no role\nis given")
			})
		}, nil, s3.ErrNoCredentials, "S3: bucket rack-objects: no credentials of AWS: no role is given"},
		"a server that fails": {func(l *lab, _ *s3.Options) { l.fake.Before(func(s3test.Call) s3test.Verdict { return s3test.Fail }) }, nil, nil,
			"it cannot answer just now, also when it is asked again (s3:ListBucket): InternalError: We encountered an internal error."},
		"a server that is not there": {func(l *lab, _ *s3.Options) { l.fake.Before(func(s3test.Call) s3test.Verdict { return s3test.Cut }) }, nil, nil,
			"S3 cannot be asked (s3:ListBucket, bucket rack-objects): "},
		"another app": {func(_ *lab, o *s3.Options) { o.App = "api" }, get, nil, "app web: the bucket is that of another app: s3://rack-objects/racks/office is for api alone"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			s := l.store(func(o *s3.Options) { test.change(l, o) })
			do := test.do
			if do == nil {
				do = func(ctx context.Context, s *s3.Store) error { return s.Check(ctx) }
			}
			err := do(t.Context(), s)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") || test.kind != nil && !errors.Is(err, test.kind) {
				t.Errorf("%v\nwant: %s", err, test.want)
			}
		})
	}
}

// TestOptions: what cannot work is said before anything is asked.
func TestOptions(t *testing.T) {
	l := newLab(t)
	for _, test := range []struct {
		change func(*s3.Options)
		want   string
	}{
		{named("Capital"), `"Capital" cannot be the name of a bucket`},
		{named("a..b"), "cannot be the name of a bucket"},
		{named("ab"), "cannot be the name of a bucket"},
		{in(""), "wrong region: none is set: name that of the bucket, or set AWS_REGION"},
		{func(o *s3.Options) { o.Config.Credentials = nil }, "no credentials of AWS"},
		{func(o *s3.Options) { o.Prefix = "a/../b" }, `"a/../b" cannot be the beginning of keys`},
		{func(o *s3.Options) { o.Prefix = strings.Repeat("a", 201) }, "at most 200 bytes"},
	} {
		o := s3.Options{Config: l.config(), Bucket: bucket}
		test.change(&o)
		if _, err := s3.New(o); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want: %s", err, test.want)
		}
	}
}

// TestKeysOfV2Racks: what a v2 rack has in the bucket of an app is found there, and
// what is stored is where a v2 rack looks for it.
func TestKeysOfV2Racks(t *testing.T) {
	l := newPlainLab(t)
	s := l.store(func(o *s3.Options) { o.Prefix, o.App = "", "web" })
	api := sdk.NewFromConfig(l.config(), func(o *sdk.Options) { o.UsePathStyle = true })
	name := l.bucket
	for _, key := range []string{"tmp/0123456789abcdef0123456789abcd.tgz", "build/BABCDEFGHIJ/logs", "releases/RABCDEFGHIJ/env"} {
		if err := s.PutObject(t.Context(), "web", key, strings.NewReader("ours")); err != nil {
			t.Fatal(err)
		}
		out, err := api.GetObject(t.Context(), &sdk.GetObjectInput{Bucket: &name, Key: &key})
		if err != nil {
			t.Errorf("%s is not where a v2 rack looks for it: %v", key, err)
			continue
		}
		out.Body.Close()
		if _, err := api.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: &name, Key: &key, Body: strings.NewReader("theirs")}); err != nil {
			t.Fatal(err)
		}
		r, err := s.OpenObject(t.Context(), "web", key)
		if err != nil {
			t.Errorf("%s of a v2 rack: %v", key, err)
			continue
		}
		r.Close()
	}
	if keys, err := s.ListObjects(t.Context(), "web", "tmp/"); err != nil || !slices.Equal(keys, []string{"tmp/0123456789abcdef0123456789abcd.tgz"}) {
		t.Errorf("listed %q, %v", keys, err)
	}
}

// TestManyObjects: more than one call lists and removes, also where one of them
// cannot be removed.
func TestManyObjects(t *testing.T) {
	l := newPlainLab(t)
	s := l.store()
	const many = 1010
	for i := range many {
		if err := s.PutObject(t.Context(), "web", "tmp/"+string(rune('一'+i)), strings.NewReader("")); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := s.ListObjects(t.Context(), "web", "tmp/")
	old, err2 := s.OldObjects(t.Context(), "web", "", time.Now().Add(time.Hour))
	if err := errors.Join(err, err2); err != nil || len(keys) != many || len(old) != many || !slices.IsSorted(keys) {
		t.Errorf("listed %d and %d: %v", len(keys), len(old), err)
	}
	if err := s.RemoveObjects(t.Context(), "web"); err != nil {
		t.Error(err)
	}
	if keys, err := s.OldObjects(t.Context(), "web", "", time.Now().Add(time.Hour)); err != nil || len(keys) > 0 {
		t.Errorf("left: %q, %v", keys, err)
	}
}

// TestObjectsThatStay: what cannot be removed is named, and the rest is removed.
func TestObjectsThatStay(t *testing.T) {
	l := newLab(t)
	s, ctx := l.store(), t.Context()
	for _, key := range []string{"tmp/a", "tmp/b", "tmp/c", "tmp/d"} {
		if err := s.PutObject(ctx, "web", key, strings.NewReader("")); err != nil {
			t.Fatal(err)
		}
	}
	l.fake.Deny("s3:DeleteObject racks/office/web/tmp/b")
	l.fake.Deny("s3:DeleteObject racks/office/web/tmp/d")
	err := s.RemoveObjects(ctx, "web")
	for _, key := range []string{"tmp/b", "tmp/d"} {
		if want := "access denied: grant s3:DeleteObject on arn:aws:s3:::rack-objects/racks/office/web/" + key; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant: %s", err, want)
		}
	}
	if keys, err := s.ListObjects(ctx, "web", "tmp/"); err != nil || !slices.Equal(keys, []string{"tmp/b", "tmp/d"}) {
		t.Errorf("left: %q, %v", keys, err)
	}
}

// TestPermissions goes through all that a rack does, and compares what it was seen
// to ask for with the tables.
func TestPermissions(t *testing.T) {
	l := newLab(t)
	s, ctx := l.store(named("new-bucket")), t.Context()
	if _, err := s.Init(ctx); err != nil {
		t.Fatal(err)
	}
	compare := func(want ...s3.Permission) {
		t.Helper()
		seen := l.fake.Seen()
		for _, p := range want {
			if seen[s3test.Seen{Action: p.Action, Object: p.On == s3.OnObjects}] == 0 {
				t.Errorf("%s on %s was not asked for", p.Action, p.On)
			}
			delete(seen, s3test.Seen{Action: p.Action, Object: p.On == s3.OnObjects})
		}
		if len(seen) > 0 {
			t.Errorf("not in the tables: %v", seen)
		}
	}
	compare(s3.InitPermissions()...)
	gone := errors.New("the client is gone")
	for what, err := range map[string]error{
		"check": s.Check(ctx), "put": s.PutObject(ctx, "web", "tmp/a", strings.NewReader("")), "put again": s.PutObject(ctx, "web", "tmp/b", strings.NewReader("")),
		"broken": s.PutObject(ctx, "web", "tmp/c", &dying{content(part + 1), gone}),
	} {
		if err != nil && !errors.Is(err, gone) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := s.OpenObject(ctx, "web", "none"); !errors.Is(err, rack.ErrNotFound) {
		t.Error(err)
	}
	if err := errors.Join(s.RemoveObject(ctx, "web", "tmp/a"), s.RemoveObjects(ctx, "web")); err != nil {
		t.Error(err)
	}
	compare(slices.Concat(s3.InitPermissions(), s3.Permissions())...)
}

// dying is a reader that ends in an error.
type dying struct {
	rest []byte
	err  error
}

func (d *dying) Read(p []byte) (int, error) {
	if len(d.rest) == 0 {
		return 0, d.err
	}
	n := copy(p, d.rest)
	d.rest = d.rest[n:]
	return n, nil
}
