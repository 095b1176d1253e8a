package refusal_test

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/refusal"
)

func TestDenied(t *testing.T) {
	const user = "arn:aws:iam::123456789012:user/ci"
	for _, test := range []struct {
		message string
		want    [3]string
	}{
		{"User: " + user + " is not authorized to perform: ecr:PutImage on resource: arn:aws:ecr:us-east-1:123456789012:repository/web because no policy allows it",
			[3]string{user, "ecr:PutImage", "arn:aws:ecr:us-east-1:123456789012:repository/web"}},
		{"User: " + user + " is not authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::b/k\"", [3]string{user, "s3:GetObject", "arn:aws:s3:::b/k"}},
		{"User: " + user + " is not authorized to perform: kms:Decrypt with an explicit deny", [3]string{user, "kms:Decrypt", ""}},
		{"User: " + user + " is not authorized", [3]string{user, "", ""}},
		{"User: me is not authorized to perform: s3:GetObject", [3]string{}},
		{"", [3]string{}},
	} {
		u, a, r := refusal.Denied(test.message)
		if d := cmp.Diff(test.want, [3]string{u, a, r}); d != "" {
			t.Errorf("%q (-want +got):\n%s", test.message, d)
		}
	}
}

// TestBusy: what a service, or the network, is to blame for is told from what it is not.
func TestBusy(t *testing.T) {
	for code, want := range map[string]bool{"ThrottlingException": true, "Throttling": true, "RequestThrottled": true, "SlowDown": true, "InternalServerError": true,
		"ServiceUnavailable": true, "ServerException": true, "AccessDenied": false, "ValidationError": false, "NoSuchBucket": false, "": false} {
		if got := refusal.IsBusy(code); got != want {
			t.Errorf("%q: %v", code, got)
		}
	}
	away := &url.Error{Op: "Post", URL: "https://kms.test", Err: io.ErrUnexpectedEOF}
	if err := refusal.Unasked(fmt.Errorf("request: %w", away)); !errors.Is(err, refusal.ErrBusy) || !errors.Is(err, io.ErrUnexpectedEOF) || err.Error() != "request: "+away.Error() {
		t.Errorf("of the network: %v", err)
	}
	if err := refusal.Unasked(io.ErrShortBuffer); err != io.ErrShortBuffer {
		t.Errorf("of another kind: %v", err)
	}
}

func FuzzOneLine(f *testing.F) {
	f.Add("two\r\n  lines")
	f.Add(strings.Repeat("ä", refusal.MaxText))
	f.Add("\xff")
	f.Fuzz(func(t *testing.T, said string) {
		if text := refusal.OneLine(said); !utf8.ValidString(text) || strings.ContainsAny(text, "\n\r") || len(text) > refusal.MaxText {
			t.Errorf("%q becomes %q", said, text)
		}
	})
}
