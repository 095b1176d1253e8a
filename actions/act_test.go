package actions_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// workflows are the files of testdata that check by themselves what they got, and the
// summaries that their steps leave, in order: what was done, and the verdict.
var workflows = map[string][]string{
	"older-deploy.yml": {"✅ Deploy of myapp on staging: ✅ live"},
	"older-chain.yml": {
		"✅ Build of myrailsapp on staging: ✅ built", "✅ Run of myrailsapp on staging: ✅ done", "✅ Promote of myrailsapp on staging: ✅ live",
		"✅ Build of chain on staging: ✅ built", "✅ Run of chain on staging: ✅ done", "✅ Promote of chain on staging: ✅ live",
	},
	"older-inputs.yml": {"✅ Deploy of older on staging: ✅ live", "✅ Build of older on staging: ✅ built"},
	"verbs.yml": {
		"✅ Deploy of verbs on staging: ✅ live", "✅ Build of verbs on staging: ✅ built", "✅ Build of verbs on staging: ✅ built",
		"✅ Promote of verbs on staging: ✅ live",
	},
	"failing.yml": {"❌ Build of shop on staging: ❌ failed"},
}

// TestWorkflows runs them. The key is no secret to act in one of them: what we have it
// mask is hidden there as well.
func TestWorkflows(t *testing.T) {
	r := need(t, shared.rack)
	for _, app := range []string{"chain", "myapp", "myrailsapp", "older", "shop", "verbs"} {
		r.run(t, "apps", "create", app)
	}
	for workflow, want := range workflows {
		t.Run(workflow, func(t *testing.T) {
			t.Parallel()
			secret := "CONVOX_DEPLOY_KEY=" + key
			given := "--secret"
			if workflow == "verbs.yml" {
				given = "--var"
			}
			said, err := output(act(t, workflow, given, secret))
			if err != nil {
				t.Error(err)
			}
			if strings.Contains(said, key) {
				t.Errorf("the key is shown:\n%s", said)
			}
			if strings.Contains(said, "Unexpected input") {
				t.Errorf("an input is unexpected:\n%s", said)
			}
			if got := summaries(said); !slices.Equal(got, want) {
				t.Errorf("summaries %q, wanted %q:\n%s", got, want, said)
			}
		})
	}
}

// summary is one in the log of act, which shows the file of a step when that has
// ended, and empties it for the next: a title, and a table that begins with the verdict.
var summary = regexp.MustCompile(`(?s) Summary - <h2>(.*?)</h2>\n.*?\n<table>\n<tr><th align="left">Verdict</th><td colspan="2">(\S+ [^<]*?)(?: after [^<]*)?</td></tr>\n<tr>.*?</table>`)

// summaries are the titles and the verdicts of the summaries in the log of act.
func summaries(log string) (all []string) {
	code := strings.NewReplacer("<code>", "", "</code>", "")
	for _, m := range summary.FindAllStringSubmatch(log, -1) {
		all = append(all, code.Replace(m[1])+": "+m[2])
	}
	return all
}
