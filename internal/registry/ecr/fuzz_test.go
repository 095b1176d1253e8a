package ecr

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/convox-ci/convox-ci/internal/refusal"
)

// FuzzDenial: whatever a registry says, an error of it is one line of UTF-8 that
// is not much longer than what errors repeat, and what it tells people to grant
// was said by the registry.
func FuzzDenial(f *testing.F) {
	f.Add("User: arn:aws:iam::123456789012:user/ci is not authorized to perform: ecr:PutImage on resource: arn:aws:ecr:us-east-1:123456789012:repository/web because")
	f.Add("User: arn:aws:sts::1:assumed-role/a/b is not authorized to perform: ecr:GetAuthorizationToken\non resource: *")
	f.Add(strings.Repeat("ä", refusal.MaxText))
	f.Add("User: arn:\xff is not authorized to perform: ecr:X")
	f.Fuzz(func(t *testing.T, said string) {
		e := &Error{Kind: ErrDenied, Text: refusal.OneLine(said)}
		e.refine()
		text := e.Error()
		if !utf8.ValidString(text) || strings.ContainsAny(text, "\n\r") || len(text) > refusal.MaxText+100 {
			t.Errorf("text is %q", text)
		}
		for _, part := range []string{e.Action, e.Resource, e.User} {
			if !strings.Contains(e.Text, part) {
				t.Errorf("%q was not said", part)
			}
		}
	})
}

// FuzzHost: a host that tokens are sent to is one below the domain of AWS.
func FuzzHost(f *testing.F) {
	f.Add("123456789012.dkr.ecr.us-east-1.amazonaws.com")
	f.Add("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn")
	f.Add("1.dkr.ecr.x.amazonaws.com.example.org")
	f.Fuzz(func(t *testing.T, host string) {
		p, ok := parseHost(host)
		if ok && host != p.account+".dkr.ecr."+p.region+".amazonaws.com" && host != p.account+".dkr.ecr."+p.region+".amazonaws.com.cn" {
			t.Errorf("%q is account %q in %q", host, p.account, p.region)
		}
		if ok && strings.ContainsAny(host, "/@:?# ") {
			t.Errorf("%q is a host", host)
		}
	})
}
