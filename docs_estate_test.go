package convoxci_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/estate"
)

// inEstate are the resources of permissions, in the words of the page and in the
// order of the policy.
func inEstate() [][2]string {
	const here = ":REGION:ACCOUNT:"
	return [][2]string{
		{estate.OnRackStack, "arn:aws:cloudformation" + here + "stack/RACK/*"}, {estate.OnAppStack, "arn:aws:cloudformation" + here + "stack/RACK-APP/*"},
		{estate.OnBuilds, "arn:aws:dynamodb" + here + "table/RACK-builds"}, {estate.OnReleases, "arn:aws:dynamodb" + here + "table/RACK-releases"},
		{estate.OnIndex, "arn:aws:dynamodb" + here + "table/RACK-releases/index/app.created"},
		{estate.OnSecrets, "arn:aws:s3:::APP-BUCKET/releases/*"}, {estate.OnLogs, "arn:aws:s3:::APP-BUCKET/build/*"},
		{estate.OnKey, "ENCRYPTION-KEY"}, {estate.OnBucketKey, "CUSTOMER-MANAGED-KEY"},
		{estate.Anywhere, "*"}, {estate.OnRepository, "arn:aws:ecr" + here + "repository/REPOSITORY"}, {estate.OnCache, "arn:aws:ecr" + here + "repository/RACK-build-cache"},
		{estate.OnTopic, "arn:aws:sns" + here + "RACK-notifications"},
		{estate.OnRackBucket, "arn:aws:s3:::RACK-BUCKET"}, {estate.OnLogins, "arn:aws:s3:::RACK-BUCKET/system/registries/*"},
	}
}

// estateTable is what recording a build without the rack has to be allowed.
func estateTable() string {
	var rows [][]string
	for _, p := range estate.Permissions() {
		var on []string
		for _, r := range inEstate() {
			if slices.Contains(p.On, r[0]) {
				on = append(on, "`"+r[1]+"`")
			}
		}
		what := p.For
		if p.Optional {
			what += " (a build is made without it too)"
		}
		rows = append(rows, []string{"`" + p.Action + "`", strings.Join(on, ", "), what})
	}
	return table([]string{"Action", "Resource", "For"}, rows)
}

// policyForEstate is the same as a policy of IAM.
func policyForEstate(t *testing.T) string {
	var all []statement
	for _, r := range inEstate() {
		s := statement{Effect: "Allow", Resource: r[1]}
		for _, p := range estate.Permissions() {
			if slices.Contains(p.On, r[0]) {
				s.Action = append(s.Action, p.Action)
			}
		}
		all = append(all, s)
	}
	return policyText(t, all)
}
