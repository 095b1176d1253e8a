package kms_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	service "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"golang.org/x/crypto/nacl/secretbox"

	"github.com/convox-ci/convox-ci/internal/rackd/kms"
	"github.com/convox-ci/convox-ci/internal/rackd/kms/kmstest"
	"github.com/convox-ci/convox-ci/internal/rackd/vault"
)

const region = "eu-west-1"

// lab is a stand-in for KMS with one key, on loopback.
type lab struct {
	*testing.T
	fake   *kmstest.Fake
	arn    string
	config aws.Config
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{T: t, fake: kmstest.New(region)}
	l.arn = l.fake.Make("convox-office")
	server := httptest.NewServer(l.fake)
	t.Cleanup(server.Close)
	l.config = aws.Config{Region: region, BaseEndpoint: &server.URL, HTTPClient: &http.Client{Transport: &http.Transport{}},
		Credentials: credentials.NewStaticCredentialsProvider(kmstest.AccessKey, "secret", "")}
	return l
}

func (l *lab) open(name string) *kms.Key {
	l.Helper()
	k, err := kms.Open(l.Context(), l.config, name)
	if err != nil {
		l.Fatal(err)
	}
	return k
}

func (l *lab) seal(k *kms.Key, text string) *vault.Envelope {
	l.Helper()
	e, err := k.Seal(l.Context(), text, "release web/RA")
	if err != nil {
		l.Fatal(err)
	}
	return e
}

func (l *lab) wantText(k *kms.Key, e *vault.Envelope, want string) {
	l.Helper()
	if got, err := k.Open(l.Context(), e, "release web/RA"); err != nil || got != want {
		l.Errorf("opened %q, %v", got, err)
	}
}

func TestWhatIsSealedOpensElsewhere(t *testing.T) {
	l := newLab(t)
	a := l.open("alias/convox-office")
	b := l.open(l.arn)
	for _, text := range []string{"", "A=1\nB=世界", strings.Repeat("x", 1<<20)} {
		e := l.seal(a, text)
		if len(text) > 0 && strings.Contains(string(e.Text), text) {
			t.Error("the text stands in its envelope")
		}
		l.wantText(a, e, text)
		l.wantText(b, e, text)
	}
}

// asV2 is an envelope as v2 racks keep it.
type asV2 struct{ C, K, N []byte }

// A v2 rack reads what is sealed here: base64 in JSON, a data key that KMS opens
// without being told more, XSalsa20 and Poly1305.
func TestV2RacksRead(t *testing.T) {
	l := newLab(t)
	text, err := json.Marshal(l.seal(l.open(l.arn), "A=1"))
	if err != nil {
		t.Fatal(err)
	}
	var e asV2
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatal(err)
	}
	out, err := service.NewFromConfig(l.config).Decrypt(t.Context(), &service.DecryptInput{CiphertextBlob: e.K})
	if err != nil {
		t.Fatal(err)
	}
	got, ok := secretbox.Open(nil, e.C, (*[24]byte)(e.N), (*[32]byte)(out.Plaintext))
	if !ok || string(got) != "A=1" {
		t.Errorf("a v2 rack reads %q of %s", got, text)
	}
}

// And what a v2 rack has sealed is read here.
func TestV2RacksAreRead(t *testing.T) {
	l := newLab(t)
	out, err := service.NewFromConfig(l.config).GenerateDataKey(t.Context(), &service.GenerateDataKeyInput{KeyId: &l.arn, NumberOfBytes: aws.Int32(32)})
	if err != nil {
		t.Fatal(err)
	}
	nonce := [24]byte{1, 2, 3}
	text, err := json.Marshal(map[string][]byte{"c": secretbox.Seal(nil, []byte("A=1"), &nonce, (*[32]byte)(out.Plaintext)), "k": out.CiphertextBlob, "n": nonce[:]})
	if err != nil {
		t.Fatal(err)
	}
	var e vault.Envelope
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatal(err)
	}
	l.wantText(l.open("alias/convox-office"), &e, "A=1")
}

func TestWhatWasChangedIsNotOpened(t *testing.T) {
	l := newLab(t)
	k := l.open(l.arn)
	other := l.open(l.fake.Make(""))
	for name, change := range map[string]func(*vault.Envelope){
		"text":        func(e *vault.Envelope) { e.Text[0] ^= 1 },
		"no text":     func(e *vault.Envelope) { e.Text = nil },
		"key":         func(e *vault.Envelope) { e.Key[len(e.Key)-1] ^= 1 },
		"no key":      func(e *vault.Envelope) { e.Key = nil },
		"another key": func(e *vault.Envelope) { e.Key = l.seal(other, "A=1").Key },
		"nonce":       func(e *vault.Envelope) { e.Nonce[0] ^= 1 },
		"long nonce":  func(e *vault.Envelope) { e.Nonce = append(e.Nonce, 0) },
		"no nonce":    func(e *vault.Envelope) { e.Nonce = nil },
	} {
		e := l.seal(l.open(l.arn), "A=1")
		change(e)
		got, err := k.Open(t.Context(), e, "release web/RA")
		if got != "" || err == nil || !errors.Is(err, vault.ErrSealed) && name != "no key" {
			t.Errorf("with another %s: %q, %v", name, got, err)
		}
	}
}

// A list of releases must not take a call for each, and no data key seals without
// end.
func TestFewCalls(t *testing.T) {
	l := newLab(t)
	k := l.open(l.arn)
	before := l.fake.Seen()
	var all []*vault.Envelope
	keys := map[string]bool{}
	for i := range 200 {
		all = append(all, l.seal(k, fmt.Sprint(i)))
		keys[string(all[i].Key)] = true
	}
	fresh := l.open(l.arn)
	for range 2 {
		for i, e := range all {
			l.wantText(k, e, fmt.Sprint(i))
			l.wantText(fresh, e, fmt.Sprint(i))
		}
	}
	made, opened := l.fake.Seen()["kms:GenerateDataKey"]-before["kms:GenerateDataKey"], l.fake.Seen()["kms:Decrypt"]-before["kms:Decrypt"]
	if len(keys) != 4 || made != 4+1 || opened != 4+1 { // one of each by the second Open
		t.Errorf("%d data keys, made with %d calls, opened with %d", len(keys), made, opened)
	}
}

func TestErrors(t *testing.T) {
	l := newLab(t)
	for name, test := range map[string]struct {
		key    string
		change func()
		want   string
		kind   error
	}{
		"no key":       {key: "alias/none", want: "KMS: key alias/none: no such key (kms:GenerateDataKey): Key ", kind: kms.ErrNoKey},
		"switched off": {change: func() { l.fake.Disable(l.arn, true) }, want: "the key cannot be used (kms:GenerateDataKey): " + l.arn + " is disabled.", kind: kms.ErrUnusable},
		"no sealing": {change: func() { l.fake.Deny("kms:GenerateDataKey", true) },
			want: "access denied: grant kms:GenerateDataKey on " + l.arn + " to " + kmstest.User, kind: kms.ErrDenied},
		"no opening": {change: func() { l.fake.Deny("kms:Decrypt", true) },
			want: "access denied: grant kms:Decrypt on " + l.arn + " to " + kmstest.User, kind: kms.ErrDenied},
		"unknown credentials": {change: func() { l.config.Credentials = credentials.NewStaticCredentialsProvider("AKIDOTHER", "secret", "") },
			want: "no credentials of AWS (kms:GenerateDataKey): The security token", kind: kms.ErrNoCredentials},
		"no region": {change: func() { l.config.Region = "" }, want: "no region is set: set AWS_REGION", kind: kms.ErrNoKey},
	} {
		t.Run(name, func(t *testing.T) {
			was := l.config
			defer func() {
				l.config = was
				l.fake.Disable(l.arn, false)
				l.fake.Deny("kms:GenerateDataKey", false)
				l.fake.Deny("kms:Decrypt", false)
			}()
			if test.change != nil {
				test.change()
			}
			key := test.key
			if key == "" {
				key = l.arn
			}
			_, err := kms.Open(t.Context(), l.config, key)
			if !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want: %s", err, test.want)
			}
		})
	}
}

// TestBusy: what KMS cannot answer just now is asked again, ten times in all.
func TestBusy(t *testing.T) {
	l := newLab(t)
	l.config.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) {
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
		})
	}
	for _, code := range []string{"ThrottlingException", "LimitExceededException", "KMSInternalException"} {
		l.fake.Fail(9, code)
		l.open(l.arn)
		l.fake.Fail(11, code)
		_, err := kms.Open(t.Context(), l.config, l.arn)
		want := "KMS: key " + l.arn + ": it cannot answer just now, try again later (kms:GenerateDataKey): Rate exceeded"
		if !errors.Is(err, kms.ErrThrottled) || err.Error() != want || l.fake.Failing() != 1 {
			t.Errorf("%s: %v, with %d failing calls left", code, err, l.fake.Failing())
		}
		l.fake.Fail(0, "")
	}
}

// TestManyDataKeys: of more than are kept the oldest are forgotten, and no other;
// that which seals is not used when it is.
func TestManyDataKeys(t *testing.T) {
	l := newLab(t)
	k := l.open(l.arn)
	l.seal(k, "A=1")
	api := service.NewFromConfig(l.config)
	var all []*vault.Envelope
	for range 1100 {
		out, err := api.GenerateDataKey(t.Context(), &service.GenerateDataKeyInput{KeyId: &l.arn, KeySpec: types.DataKeySpecAes256})
		if err != nil {
			t.Fatal(err)
		}
		nonce := [24]byte{1}
		all = append(all, &vault.Envelope{Text: secretbox.Seal(nil, []byte("A=1"), &nonce, (*[32]byte)(out.Plaintext)), Key: out.CiphertextBlob, Nonce: nonce[:]})
		l.wantText(k, all[len(all)-1], "A=1")
	}
	before := l.fake.Seen()["kms:Decrypt"]
	for _, e := range all[100:] {
		l.wantText(k, e, "A=1")
	}
	if n := l.fake.Seen()["kms:Decrypt"] - before; n != 0 {
		t.Errorf("%d of the latest 1000 were asked for again", n)
	}
	l.wantText(k, all[0], "A=1")
	if n := l.fake.Seen()["kms:Decrypt"] - before; n != 1 {
		t.Errorf("the first was asked for %d times", n)
	}
	l.wantText(l.open(l.arn), l.seal(k, "A=1"), "A=1")
}

func TestPermissionsAreThoseThatAreAskedFor(t *testing.T) {
	l := newLab(t)
	l.wantText(l.open(l.arn), l.seal(l.open(l.arn), "A=1"), "A=1")
	seen := l.fake.Seen()
	for _, p := range kms.Permissions() {
		if seen[p.Action] == 0 {
			t.Errorf("%s was not asked for", p.Action)
		}
		delete(seen, p.Action)
	}
	if len(seen) > 0 {
		t.Errorf("not in the table: %v", seen)
	}
}
