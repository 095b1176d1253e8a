package convoxci_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/options"
)

var update = flag.Bool("update", false, "write the files of the Actions and the generated parts of README.md and docs")

// pages are the documents for users, by their paths.
func pages(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, name := range append(names, "README.md", "CONTRIBUTING.md") {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.ToSlash(name)] = string(data)
	}
	return all
}

// generated is a part of a page that is made from the code.
var generated = regexp.MustCompile(`(?s)(<!-- generated: ([a-z -]+) -->\n).*?(<!-- end -->)`)

// TestGeneratedParts compares the tables of the pages with the code. To write
// them: go test . -run TestGeneratedParts -update
func TestGeneratedParts(t *testing.T) {
	tables := generatedTables(t)
	used := map[string]bool{}
	for name, text := range pages(t) {
		want := generated.ReplaceAllStringFunc(text, func(part string) string {
			m := generated.FindStringSubmatch(part)
			table, ok := tables[m[2]]
			if !ok {
				t.Errorf("%s: there is no generated part %q", name, m[2])
			}
			used[m[2]] = true
			return m[1] + table + m[3]
		})
		if text == want {
			continue
		}
		if !*update {
			t.Errorf("%s differs from the code (go test . -run TestGeneratedParts -update):\n%s", name, cmp.Diff(text, want))
			continue
		}
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name := range tables {
		if !used[name] {
			t.Errorf("no page has the generated part %q", name)
		}
	}
}

// TestTroubleIsQuoted: whoever searches the troubleshooting page for what was
// printed has to find it. Its headings are messages; "…" stands for what differs.
func TestTroubleIsQuoted(t *testing.T) {
	const page, shortest = "docs/troubleshooting.md", 7 // shorter pieces are found anywhere
	said := messages(t)
	heading := regexp.MustCompile("(?m)^### `(.+)`$")
	found := heading.FindAllStringSubmatch(pages(t)[page], -1)
	if others := strings.Count(pages(t)[page], "\n### "); len(found) == 0 || others != len(found) {
		t.Fatalf("%d headings quote a message, of %d", len(found), others)
	}
	for _, m := range found {
		if missing := unsaid(m[1], shortest, said); missing != "" {
			t.Errorf("%s quotes %q: nothing says %q", page, m[1], missing)
		}
	}
	for hint := range hints(t) {
		if !slices.ContainsFunc(found, func(m []string) bool { return m[1] == hint }) {
			t.Errorf("%s does not explain the hint %q", page, hint)
		}
	}
	if missing := unsaid("release … is not alive: …", shortest, said); missing != "is not alive:" {
		t.Errorf("of a message that nothing says, %q is missing", missing)
	}
}

// TestSecretsAreNamed: who reads what is masked reads of every input that is a secret.
func TestSecretsAreNamed(t *testing.T) {
	const page = "docs/security.md"
	_, text, _ := strings.Cut(pages(t)[page], "## What is masked\n")
	text, _, _ = strings.Cut(text, "\n## ")
	for command, fields := range commands() {
		for _, f := range fields {
			if f.Kind == options.KindSecret && !strings.Contains(text, "`"+f.Name+"`") {
				t.Errorf("%s does not name %s, a secret of %s", page, f.Name, command)
			}
		}
	}
}

// unsaid is the first piece of a quoted message that is in no text; the whole if
// no piece is long enough to tell. "" means that all of it is there.
func unsaid(quote string, shortest int, said []string) string {
	long := false
	for _, piece := range strings.Split(quote, "…") {
		piece = strings.TrimSpace(piece)
		long = long || len(piece) >= shortest
		if piece != "" && !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, piece) }) {
			return piece
		}
	}
	if !long {
		return quote
	}
	return ""
}

// messages are the texts in the code of the binary, with those put together by +
// taken as one, the scripts of the orb, and what official clients and racks say in
// the recordings.
func messages(t *testing.T) []string {
	t.Helper()
	var all []string
	for path, f := range goFiles(t) {
		if strings.HasPrefix(path, "internal/") || strings.HasPrefix(path, "cmd/") {
			ast.Inspect(f, func(n ast.Node) bool {
				if e, ok := n.(ast.Expr); ok {
					all = append(all, literal(e))
				}
				return true
			})
		}
	}
	recordings, err := filepath.Glob("internal/wire/testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	scripts, err := filepath.Glob("orb/src/scripts/*.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(recordings, scripts...) {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(data))
	}
	return all
}

// literal is the text of a string in the code; what is between two that are put
// together counts as an ellipsis, as do the verbs of a format.
func literal(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return ""
		}
		text, _ := strconv.Unquote(e.Value)
		return text
	case *ast.BinaryExpr:
		return literal(e.X) + literal(e.Y)
	}
	return "…"
}

// TestLinks: what a page points at in this repository is there.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`(?:\]\(|src=")([^)"#\s]*)(?:#([^)\s]*))?[)"]`)
	all := pages(t)
	for name, text := range all {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, anchor := m[1], m[2]
			if strings.Contains(target, "://") {
				continue
			}
			file := name
			if target != "" {
				file = filepath.ToSlash(filepath.Join(filepath.Dir(name), target))
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s links to %s, which is not there", name, m[0])
				continue
			}
			if anchor != "" && !slices.Contains(anchors(all[file]), anchor) {
				t.Errorf("%s links to %s: there is no such heading", name, m[0])
			}
		}
	}
}

// anchors are the names that GitHub gives to the headings of a page.
func anchors(text string) []string {
	var list []string
	drop := regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	for line := range strings.Lines(text) {
		if title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			name := drop.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), "")
			list = append(list, strings.ReplaceAll(name, " ", "-"))
		}
	}
	return list
}

// table makes a table of Markdown. Cells lose the characters that would end them.
func table(head []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) {
		for i, c := range cells {
			cells[i] = strings.ReplaceAll(c, "|", `\|`)
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	line(head)
	line(slices.Repeat([]string{"---"}, len(head)))
	for _, r := range rows {
		line(r)
	}
	return b.String()
}
