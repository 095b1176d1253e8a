package convoxci_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// rule is something that no workflow may do. The names are those of zizmor's audits
// where it has one, https://docs.zizmor.sh/audits/; the rest are habits of ours.
type rule struct {
	name  string
	check func(w *yaml.Node) []string // what is wrong, with its line
}

// rules are all rules for workflows.
func rules() []rule {
	return []rule{
		{"template-injection", injections},
		{"unpinned-uses", unpinned},
		{"excessive-permissions", permissions},
		{"artipacked", credentials},
		{"cache-poisoning", caches},
		{"dangerous-triggers", triggers},
		{"scripts", inlineShell},
	}
}

func TestWorkflows(t *testing.T) {
	files, err := filepath.Glob(".github/workflows/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d workflows, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rules() {
			for _, wrong := range r.check(parseYAML(t, string(text))) {
				t.Errorf("%s: %s: %s", file, r.name, wrong)
			}
		}
	}
}

// TestRulesAreKept breaks each rule, and wants it found by that rule alone.
func TestRulesAreKept(t *testing.T) {
	const good = `on: {push: {tags: [v1]}}
permissions: {}
jobs:
  a:
    permissions:
      contents: read # to check out
    steps:
      - uses: actions/checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd # v6.0.2
        with: {persist-credentials: false}
      - uses: actions/setup-go@4a3601121dd01d1626a1e23e37211e3254c1c06c # v6.4.0
        with: {cache: false}
      - run: scripts/check "$NAME"
        env: {NAME: "${{ github.ref_name }}"}
`
	for _, test := range []struct{ rule, old, new string }{
		{"", "none", ""},
		{"template-injection", `"$NAME"`, `"${{ github.ref_name }}"`},
		{"unpinned-uses", "checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd", "checkout@v6"},
		{"unpinned-uses", "checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd", "checkout@de0fac2"},
		{"unpinned-uses", " # v6.0.2", ""},
		{"unpinned-uses", "- uses: actions/setup-go@4a3601121dd01d1626a1e23e37211e3254c1c06c # v6.4.0", "- uses: docker://alpine:3"},
		{"unpinned-uses", "- run", "- uses: some/action@v1\n      - run"},
		{"excessive-permissions", "permissions: {}\n", ""},
		{"excessive-permissions", "permissions: {}", "permissions: read-all"},
		{"excessive-permissions", "permissions: {}", "permissions: {contents: read}"},
		{"excessive-permissions", "    permissions:\n      contents: read # to check out\n", ""},
		{"excessive-permissions", "permissions:\n      contents: read # to check out", "permissions: write-all"},
		{"excessive-permissions", " # to check out", ""},
		{"artipacked", "{persist-credentials: false}", "{persist-credentials: true}"},
		{"artipacked", "\n        with: {persist-credentials: false}", ""},
		{"cache-poisoning", "{cache: false}", "{go-version: 1.26.8}"},
		{"cache-poisoning", "- run", "- uses: actions/cache/restore@0123456789abcdef0123456789abcdef01234567 # v5.0.0\n      - run"},
		{"dangerous-triggers", "{push: {tags: [v1]}}", "[pull_request_target]"},
		{"dangerous-triggers", "{push: {tags: [v1]}}", "{workflow_run: {workflows: [x]}, push: {tags: [v1]}}"},
		{"scripts", `scripts/check "$NAME"`, `scripts/check "$NAME" && rm x`},
		{"scripts", `scripts/check "$NAME"`, `go test ./...`},
		{"scripts", `scripts/check "$NAME"`, "scripts/none"},
		{"scripts", `scripts/check "$NAME"`, "|\n          scripts/check\n          scripts/test"},
	} {
		text := strings.Replace(good, test.old, test.new, 1)
		var broken []string
		for _, r := range rules() {
			if len(r.check(parseYAML(t, text))) > 0 {
				broken = append(broken, r.name)
			}
		}
		if got := strings.Join(broken, ", "); got != test.rule {
			t.Errorf("%q in place of %q breaks %q, want %q", test.new, test.old, got, test.rule)
		}
	}
	// Only what a release is made of does without caches.
	cached := strings.Replace(good, "{cache: false}", "{cache: true}", 1)
	for on, want := range map[string]int{"{push: {tags: [v1]}}": 1, "[push, workflow_call]": 1, "{workflow_call: }": 1, "pull_request": 0, "{push: {branches: [main]}}": 0} {
		if got := caches(parseYAML(t, strings.Replace(cached, "{push: {tags: [v1]}}", on, 1))); len(got) != want {
			t.Errorf("on %s: %q", on, got)
		}
	}
}

// TestNewVersionsWait: what brings new versions in waits with them.
func TestNewVersionsWait(t *testing.T) {
	text, err := os.ReadFile(".github/dependabot.yml")
	if err != nil {
		t.Fatal(err)
	}
	updates := value(parseYAML(t, string(text)), "updates")
	if updates == nil || len(updates.Content) == 0 {
		t.Fatal("nothing is updated")
	}
	for _, u := range updates.Content {
		if days := value(value(u, "cooldown"), "default-days"); days == nil || len(days.Value) == 0 || days.Value == "0" {
			t.Errorf("%s: new versions are taken at once", at(u))
		}
	}
}

func parseYAML(t *testing.T, text string) *yaml.Node {
	t.Helper()
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	return document.Content[0]
}

// value is what a key of a mapping has, nil if it is not there.
func value(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// text is the scalar at a key, "" if it is not there.
func text(n *yaml.Node, key string) string {
	if v := value(n, key); v != nil {
		return v.Value
	}
	return ""
}

func at(n *yaml.Node) string { return fmt.Sprintf("line %d", n.Line) }

// jobs are the jobs of a workflow.
func jobs(w *yaml.Node) []*yaml.Node {
	var list []*yaml.Node
	if all := value(w, "jobs"); all != nil {
		for i := 1; i < len(all.Content); i += 2 {
			list = append(list, all.Content[i])
		}
	}
	return list
}

// steps are the steps of all jobs.
func steps(w *yaml.Node) []*yaml.Node {
	var list []*yaml.Node
	for _, j := range jobs(w) {
		if all := value(j, "steps"); all != nil {
			list = append(list, all.Content...)
		}
	}
	return list
}

// injections: an expression is put into a script before the shell reads it, whatever
// is in its value. A variable is not.
func injections(w *yaml.Node) (wrong []string) {
	for _, s := range steps(w) {
		if strings.Contains(text(s, "run"), "${{") {
			wrong = append(wrong, at(s)+": an expression in a script")
		}
	}
	return wrong
}

// unpinned: only a commit in full and a digest stand for the same thing tomorrow.
// For people and for updates the version stands behind it.
func unpinned(w *yaml.Node) (wrong []string) {
	pinned := regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40}$`)
	image := regexp.MustCompile(`^docker://.+@sha256:[0-9a-f]{64}$`)
	version := regexp.MustCompile(`^# v\d+\.\d+\.\d+$`)
	for _, s := range slices.Concat(steps(w), jobs(w)) {
		uses := value(s, "uses")
		switch {
		case uses == nil, strings.HasPrefix(uses.Value, "./"), image.MatchString(uses.Value):
		case !pinned.MatchString(uses.Value):
			wrong = append(wrong, at(uses)+": "+uses.Value+" is not pinned")
		case !version.MatchString(uses.LineComment):
			wrong = append(wrong, at(uses)+": "+uses.Value+" does not say its version")
		}
	}
	return wrong
}

// permissions: none for all jobs, and for each what it needs, with the reason.
func permissions(w *yaml.Node) (wrong []string) {
	if all := value(w, "permissions"); all == nil || all.Kind != yaml.MappingNode || len(all.Content) > 0 {
		wrong = append(wrong, "permissions of the whole workflow are not {}")
	}
	for _, j := range jobs(w) {
		granted := value(j, "permissions")
		if granted == nil || granted.Kind != yaml.MappingNode {
			wrong = append(wrong, at(j)+": a job without permissions one by one")
			continue
		}
		for i := 0; i < len(granted.Content); i += 2 {
			if name, level := granted.Content[i], granted.Content[i+1]; level.LineComment == "" {
				wrong = append(wrong, at(name)+": "+name.Value+" without a reason")
			}
		}
	}
	return wrong
}

// credentials: a checkout leaves the token in a file for all later steps unless it
// is told not to.
func credentials(w *yaml.Node) (wrong []string) {
	for _, s := range steps(w) {
		if strings.HasPrefix(text(s, "uses"), "actions/checkout@") && text(value(s, "with"), "persist-credentials") != "false" {
			wrong = append(wrong, at(s)+": the checkout keeps its credentials")
		}
	}
	return wrong
}

// caches: what a release is made of may not come from a cache, which jobs of other
// runs can fill. A workflow that is called may be part of one.
func caches(w *yaml.Node) (wrong []string) {
	if value(value(value(w, "on"), "push"), "tags") == nil && !slices.Contains(events(w), "workflow_call") {
		return nil
	}
	for _, s := range steps(w) {
		uses := text(s, "uses")
		if strings.HasPrefix(uses, "actions/cache") || strings.HasPrefix(uses, "actions/setup-") && text(value(s, "with"), "cache") != "false" {
			wrong = append(wrong, at(s)+": "+uses+" takes from a cache")
		}
	}
	return wrong
}

// events are what a workflow begins with: one, or a list, or the keys of a mapping.
func events(w *yaml.Node) []string {
	on := value(w, "on")
	if on == nil {
		return nil
	}
	list := []string{on.Value}
	for i, n := range on.Content {
		if on.Kind == yaml.SequenceNode || i%2 == 0 {
			list = append(list, n.Value)
		}
	}
	return list
}

// triggers: these run what others wrote with the rights and secrets of the repository.
func triggers(w *yaml.Node) (wrong []string) {
	for _, event := range []string{"pull_request_target", "workflow_run", "issue_comment"} {
		if slices.Contains(events(w), event) {
			wrong = append(wrong, event)
		}
	}
	return wrong
}

// inlineShell: a step calls one script of the repository, which can be tried and
// tested elsewhere.
func inlineShell(w *yaml.Node) (wrong []string) {
	call := regexp.MustCompile(`^((?:scripts|\.ci)/[a-z-]+)(?: +(?:[\w./-]+|"[^"]*"))*$`)
	for _, s := range steps(w) {
		run := value(s, "run")
		if run == nil {
			continue
		}
		m := call.FindStringSubmatch(run.Value)
		if m == nil {
			wrong = append(wrong, at(run)+": not one call of a script")
		} else if info, err := os.Stat(m[1]); err != nil || info.Mode()&0o111 == 0 {
			wrong = append(wrong, at(run)+": "+m[1]+" is not there to be run")
		}
	}
	return wrong
}
