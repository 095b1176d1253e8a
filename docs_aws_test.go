package convoxci_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

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

// policyForECR is the same as a policy of IAM.
func policyForECR(t *testing.T) string {
	t.Helper()
	type statement struct {
		Effect, Resource string
		Action           []string
	}
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
	text, err := json.MarshalIndent(map[string]any{"Version": "2012-10-17", "Statement": all}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return "```json\n" + string(text) + "\n```\n"
}
