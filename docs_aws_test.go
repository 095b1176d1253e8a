package convoxci_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/convox-ci/convox-ci/internal/oidc/oidctest"
	"github.com/convox-ci/convox-ci/internal/rackd/dynamodb"
	"github.com/convox-ci/convox-ci/internal/rackd/kms"
	"github.com/convox-ci/convox-ci/internal/rackd/s3"
	"github.com/convox-ci/convox-ci/internal/registry/ecr"
)

// onECR are the resources of permissions, in the words of the page.
func onECR() map[string]string {
	const repositories = "arn:aws:ecr:REGION:ACCOUNT:repository/"
	return map[string]string{ecr.AnyRegistry: "*", ecr.OfApps: repositories + "RACK/*", ecr.OfCache: repositories + "RACK-build-cache"}
}

// permissionsTable is what a rack on ECR has to be allowed.
func permissionsTable() string {
	var rows [][]string
	for _, p := range ecr.Permissions() {
		var on []string
		for _, o := range p.On {
			on = append(on, "`"+onECR()[o]+"`")
		}
		rows = append(rows, []string{"`" + p.Action + "`", strings.Join(on, ", "), p.For})
	}
	return table([]string{"Action", "Resource", "For"}, rows)
}

// statement is one of a policy of IAM.
type statement struct {
	Effect, Resource string
	Action           []string
}

// policyText is a policy as IAM takes it.
func policyText(t *testing.T, all []statement) string {
	t.Helper()
	text, err := json.MarshalIndent(map[string]any{"Version": "2012-10-17", "Statement": all}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return "```json\n" + string(text) + "\n```\n"
}

// policyForECR is the same as a policy of IAM.
func policyForECR(t *testing.T) string {
	var all []statement
	for _, on := range []string{ecr.AnyRegistry, ecr.OfApps, ecr.OfCache} {
		s := statement{Effect: "Allow", Resource: onECR()[on]}
		for _, p := range ecr.Permissions() {
			if slices.Contains(p.On, on) {
				s.Action = append(s.Action, p.Action)
			}
		}
		all = append(all, s)
	}
	return policyText(t, all)
}

// granted is one action on some resources, in the words of the page.
type granted struct {
	action, purpose string
	on              []string
}

// forStores are the permissions of a rack whose records and objects are on AWS; with
// those of rack init, which the rack does not need.
func forStores(initToo bool) (all []granted) {
	const tables, bucket = "arn:aws:dynamodb:REGION:ACCOUNT:table/", "arn:aws:s3:::BUCKET"
	records := map[string][]string{
		dynamodb.OnBuilds: {tables + "RACK-builds"}, dynamodb.OnReleases: {tables + "RACK-releases"}, dynamodb.OnRecords: {tables + "RACK-records"},
		dynamodb.OnIndexes: {tables + "RACK-builds/index/app.created", tables + "RACK-releases/index/app.created"},
	}
	objects := map[string]string{s3.OnBucket: bucket, s3.OnObjects: bucket + "/PREFIX/*"}
	for _, p := range dynamodb.Permissions() {
		if p.Action == "dynamodb:CreateTable" && !initToo {
			continue
		}
		g := granted{action: p.Action, purpose: p.For}
		for _, on := range p.On {
			g.on = append(g.on, records[on]...)
		}
		all = append(all, g)
	}
	for _, p := range kms.Permissions() {
		all = append(all, granted{p.Action, p.For, []string{"arn:aws:kms:REGION:ACCOUNT:key/KEY"}})
	}
	list := s3.Permissions()
	if initToo {
		list = append(list, s3.InitPermissions()...)
	}
	for _, p := range list {
		all = append(all, granted{p.Action, p.For, []string{objects[p.On]}})
	}
	return all
}

// storesTable is what a rack with its records and objects on AWS has to be allowed,
// and who makes them.
func storesTable() string {
	var rows [][]string
	for _, g := range forStores(true) {
		rows = append(rows, []string{"`" + g.action + "`", "`" + strings.Join(g.on, "`, `") + "`", g.purpose})
	}
	return table([]string{"Action", "Resource", "For"}, rows)
}

// policyForStores is what the rack alone needs, as a policy of IAM.
func policyForStores(t *testing.T) string {
	var all []statement
	for _, g := range forStores(false) {
		for _, on := range g.on {
			i := slices.IndexFunc(all, func(s statement) bool { return s.Resource == on })
			if i < 0 {
				i = len(all)
				all = append(all, statement{Effect: "Allow", Resource: on})
			}
			all[i].Action = append(all[i].Action, g.action)
		}
	}
	return policyText(t, all)
}

// policyForPulls is what pulling images from ECR needs of it.
func policyForPulls(t *testing.T) string {
	t.Helper()
	everywhere := statement{Effect: "Allow", Resource: onECR()[ecr.AnyRegistry]}
	images := statement{Effect: "Allow", Resource: "arn:aws:ecr:REGION:ACCOUNT:repository/REPOSITORY"}
	for _, p := range ecr.Permissions() {
		switch {
		case !p.Pulls():
		case slices.Contains(p.On, ecr.AnyRegistry):
			everywhere.Action = append(everywhere.Action, p.Action)
		default:
			images.Action = append(images.Action, p.Action)
		}
	}
	return policyText(t, []statement{everywhere, images})
}

// TestTrustPolicies: those of the page are what a stand-in for STS can go by; whether
// they let in who they should is for a test of package app.
func TestTrustPolicies(t *testing.T) {
	found := 0
	for _, b := range blocks(t)["docs/aws.md"] {
		if b.lang != "json" {
			continue
		}
		if !json.Valid([]byte(b.text)) {
			t.Errorf("%s is no JSON", b)
		}
		if !strings.Contains(b.text, "AssumeRole") {
			continue
		}
		found++
		if err := new(oidctest.STS).Role("arn:aws:iam::123456789012:role/ci", b.text, time.Hour); err != nil {
			t.Errorf("%s: %v", b, err)
		}
	}
	if found != 2 {
		t.Errorf("%d trust policies", found)
	}
}
