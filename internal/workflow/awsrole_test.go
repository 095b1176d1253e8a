package workflow_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

func TestAWSRole(t *testing.T) {
	const role = "arn:aws:iam::123456789012:role/ci"
	tests := []struct {
		name   string
		values map[string]string
		want   []string
	}{
		{"nothing", nil, nil},
		{"a region alone", map[string]string{"aws-region": "us-gov-west-1"}, nil},
		{"a region of Europe's own", map[string]string{"aws-region": "eusc-de-east-1"}, nil},
		{"all", map[string]string{"role-to-assume": role, "aws-region": "eu-central-1", "role-session-name": "web+7@shop", "role-duration-seconds": "900",
			"audience": "us", "web-identity-token": "a.b.c"}, nil},
		{"a path", map[string]string{"role-to-assume": "arn:aws-cn:iam::123456789012:role/teams/shop/ci", "role-duration-seconds": "43200"}, nil},
		{"a name alone", map[string]string{"role-to-assume": "ci"}, []string{`role-to-assume: "ci" is not the ARN of a role; accepted: arn:aws:iam::ACCOUNT:role/NAME`}},
		{"a user", map[string]string{"role-to-assume": "arn:aws:iam::123456789012:user/ci"}, []string{`role-to-assume: "arn:aws:iam::123456789012:user/ci" is not the ARN of a role; accepted: arn:aws:iam::ACCOUNT:role/NAME`}},
		{"a short account", map[string]string{"role-to-assume": "arn:aws:iam::12345678901:role/ci"}, []string{`role-to-assume: "arn:aws:iam::12345678901:role/ci" is not the ARN of a role; accepted: arn:aws:iam::ACCOUNT:role/NAME`}},
		{"a zone", map[string]string{"aws-region": "us-east-1a"}, []string{`aws-region: "us-east-1a" is not a region of AWS; accepted: us-east-1, eu-central-1`}},
		{"too short", map[string]string{"role-to-assume": role, "role-session-name": "a", "role-duration-seconds": "899"}, []string{
			`role-session-name: "a" is not the name of a session; accepted: 2 to 64 letters, digits, _ + = , . @ and -`,
			`role-duration-seconds: "899" is not a duration that AWS has for sessions; accepted: 900 to 43200`}},
		{"too long", map[string]string{"role-to-assume": role, "role-session-name": strings.Repeat("a", 65), "role-duration-seconds": "43201"}, []string{
			`role-session-name: "` + strings.Repeat("a", 65) + `" is not the name of a session; accepted: 2 to 64 letters, digits, _ + = , . @ and -`,
			`role-duration-seconds: "43201" is not a duration that AWS has for sessions; accepted: 900 to 43200`}},
		{"blanks", map[string]string{"role-to-assume": role, "role-session-name": "my shop"}, []string{`role-session-name: "my shop" is not the name of a session; accepted: 2 to 64 letters, digits, _ + = , . @ and -`}},
		{"no role", map[string]string{"role-session-name": "web", "role-duration-seconds": "900", "audience": "us", "web-identity-token": "orchid.pale.moon"}, []string{
			"role-session-name: is of no use without role-to-assume; accepted: role-to-assume beside it", "role-duration-seconds: is of no use without role-to-assume; accepted: role-to-assume beside it",
			"audience: is of no use without role-to-assume; accepted: role-to-assume beside it", "web-identity-token: is of no use without role-to-assume; accepted: role-to-assume beside it"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var in workflow.AWSRole
			if err := options.Parse(&in, test.values); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range in.Wrong() {
				got = append(got, p.String())
			}
			if d := cmp.Diff(test.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}
