package convoxci_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/convox-ci/convox-ci/internal/oidc/oidctest"
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

// policyForECR is the same as a policy of IAM.
func policyForECR(t *testing.T) string {
	t.Helper()
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
	return policy(t, all)
}

// policyForPulls is what pulling images from ECR needs of it.
func policyForPulls(t *testing.T) string {
	t.Helper()
	everywhere := statement{Effect: "Allow", Resource: onECR()[ecr.AnyRegistry]}
	images := statement{Effect: "Allow", Resource: "arn:aws:ecr:REGION:ACCOUNT:repository/REPOSITORY"}
	for _, p := range ecr.Permissions() {
		switch {
		case p.For == "everything":
			everywhere.Action = append(everywhere.Action, p.Action)
		case strings.HasPrefix(p.For, "pulls"):
			images.Action = append(images.Action, p.Action)
		}
	}
	return policy(t, []statement{everywhere, images})
}

func policy(t *testing.T, all []statement) string {
	t.Helper()
	text, err := json.MarshalIndent(map[string]any{"Version": "2012-10-17", "Statement": all}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return "```json\n" + string(text) + "\n```\n"
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
