package actions_test

import (
	"strings"
	"testing"
)

// TestWorkflows runs workflows that check by themselves what they got. The key is no
// secret to act: only what we have it mask is hidden.
func TestWorkflows(t *testing.T) {
	r := need(t, shared.rack)
	for _, app := range []string{"myapp", "myrailsapp", "shop"} {
		r.run(t, "apps", "create", app)
	}
	for _, workflow := range []string{"older-deploy.yml", "older-chain.yml", "older-inputs.yml", "older-promote.yml", "older-direct.yml", "verbs.yml", "failing.yml"} {
		t.Run(workflow, func(t *testing.T) {
			t.Parallel()
			secret := "CONVOX_DEPLOY_KEY=" + key
			given := "--secret"
			if workflow == "verbs.yml" {
				given = "--var"
			}
			flags := []string{given, secret}
			if workflow == "older-direct.yml" {
				flags = append(flags, "--env", "CONVOX_HOST=") // there is no console
			}
			said, err := output(act(t, workflow, flags...))
			if err != nil {
				t.Error(err)
			}
			if strings.Contains(said, key) {
				t.Errorf("the key is shown:\n%s", said)
			}
			if strings.Contains(said, "Unexpected input") {
				t.Errorf("an input is unexpected:\n%s", said)
			}
		})
	}
}
