package ci_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/google/go-cmp/cmp"
)

type pair struct{ Name, Value string }

// readOutputs parses an output file by GitHub's rules; ok is false where the
// runner would fail the step.
func readOutputs(text string) (pairs []pair, ok bool) {
	lines := strings.SplitAfter(text, "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSuffix(lines[i], "\n")
		if line == "" {
			continue
		}
		equals, fence := strings.Index(line, "="), strings.Index(line, "<<")
		if equals >= 0 && (fence < 0 || equals < fence) {
			pairs = append(pairs, pair{line[:equals], line[equals+1:]})
			continue
		}
		if fence <= 0 || line[fence+2:] == "" {
			return pairs, false
		}
		end := slices.IndexFunc(lines[i+1:], func(l string) bool { return strings.TrimSuffix(l, "\n") == line[fence+2:] })
		if end < 0 {
			return pairs, false
		}
		value := strings.Join(lines[i+1:i+1+end], "")
		pairs = append(pairs, pair{line[:fence], strings.TrimSuffix(value, "\n")})
		i += 1 + end
	}
	return pairs, true
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestOutputGitHub(t *testing.T) {
	file := filepath.Join(t.TempDir(), "output")
	if err := os.WriteFile(file, []byte("before=1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, said := open(ci.GitHub, "GITHUB_OUTPUT="+file)
	c.Mask("hunter22")
	before := said.String()
	for _, p := range []pair{{"build", "B1"}, {"urls", "{\n}\n"}, {"empty", ""}} {
		if err := c.Output(p.Name, p.Value); err != nil {
			t.Error(err)
		}
	}
	got, ok := readOutputs(read(t, file))
	want := []pair{{"before", "1"}, {"build", "B1"}, {"urls", "{\n}\n"}, {"empty", ""}}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("ok %v\n%s", ok, diff)
	}
	if said.String() != before {
		t.Errorf("said %q", said.String())
	}
}

func TestOutputGitHubWithoutFile(t *testing.T) {
	c, said := open(ci.GitHub)
	if err := c.Output("build", "B1"); err != nil || said.String() != "build=B1\n" {
		t.Errorf("said %q, %v", said.String(), err)
	}
}

func TestOutputRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "output")
	c, _ := open(ci.GitHub, "GITHUB_OUTPUT="+file)
	for _, p := range []pair{{"", "a"}, {"a=b", "c"}, {"a<<b", "c"}, {"a\nb", "c"}, {"1a", "c"}, {"a", "\xff"}, {"a", "b\x00"}} {
		if err := c.Output(p.Name, p.Value); err == nil {
			t.Errorf("%q=%q was taken", p.Name, p.Value)
		}
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was written: %v", err)
	}
}

func TestOutputFileUnwritable(t *testing.T) {
	for system, variable := range map[string]string{ci.GitHub: "GITHUB_OUTPUT", ci.CircleCI: "BASH_ENV"} {
		c, _ := open(system, variable+"="+filepath.Join(t.TempDir(), "no", "such", "folder"))
		err := c.Output("build", "B1")
		if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), variable) {
			t.Errorf("%s: %v", system, err)
		}
	}
}

func TestFenceIsNotInValue(t *testing.T) {
	draws := []string{"one", "two", "three"}
	random := func() string {
		next := draws[0]
		draws = draws[1:]
		return next
	}
	if got := ci.Fence("x\nend.one\nend.two\n", random); got != "end.three" {
		t.Errorf("got %q", got)
	}
}

func TestOutputCircleCI(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bash_env")
	c, said := open(ci.CircleCI, "BASH_ENV="+file)
	for _, p := range []pair{
		{"build", "B1"}, {"release", "R1"}, {"url", "https://a"}, {"promoted", "true"}, {"some-thing", "it's $HOME `x`\nyes"},
		{"rack", "staging"}, {"app", "web"}, {"git-sha", "abc"},
	} {
		if err := c.Output(p.Name, p.Value); err != nil {
			t.Error(err)
		}
	}
	want := `export CONVOX_BUILD_ID='B1'
export BUILD='B1'
export CONVOX_RELEASE_ID='R1'
export RELEASE='R1'
export CONVOX_APP_URL='https://a'
export CONVOX_PROMOTED='true'
export CONVOX_SOME_THING='it'\''s $HOME ` + "`x`" + `
yes'
`
	if diff := cmp.Diff(want, read(t, file)); diff != "" {
		t.Error(diff)
	}
	if said.String() != "" {
		t.Errorf("said %q", said.String())
	}
	if runtime.GOOS == "windows" {
		return
	}
	shell, err := exec.Command("sh", "-c", `. "$1"; printf %s "$CONVOX_SOME_THING"`, "sh", file).Output()
	if want := "it's $HOME `x`\nyes"; err != nil || string(shell) != want {
		t.Errorf("the shell reads %q, %v", shell, err)
	}
}

func TestOutputWithoutBashEnv(t *testing.T) {
	for _, system := range []string{ci.CircleCI, ci.Plain} {
		c, said := open(system)
		if err := c.Output("build", "B1"); err != nil || said.String() != "" {
			t.Errorf("%s: said %q, %v", system, said.String(), err)
		}
	}
}

func TestOutputFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "new", "outputs.json")
	c, _ := open(ci.Plain)
	c.Output("build", "B1")
	check := func(want map[string]string) {
		t.Helper()
		var got map[string]string
		if err := json.Unmarshal([]byte(read(t, file)), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	if err := c.OutputFile(file); err != nil {
		t.Fatal(err)
	}
	check(map[string]string{"build": "B1"})
	if err := c.Output("release", "R<1>\n"); err != nil {
		t.Fatal(err)
	}
	check(map[string]string{"build": "B1", "release": "R<1>\n"})
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// TestOutputMasksSecrets: the reason of a failure may be in the words of others,
// and later steps print outputs where nothing hides them.
func TestOutputMasksSecrets(t *testing.T) {
	dir := t.TempDir()
	github, circleci, all := filepath.Join(dir, "github"), filepath.Join(dir, "circleci"), filepath.Join(dir, "all.json")
	for _, system := range []string{ci.GitHub, ci.CircleCI, ci.Plain} {
		c, said := open(system, "GITHUB_OUTPUT="+github, "BASH_ENV="+circleci)
		if err := c.OutputFile(all); err != nil {
			t.Fatal(err)
		}
		c.Mask("hunt&r22")
		before := said.String()
		for _, value := range []string{"no hunt&r22 is there", "https://x?p=hunt%26r22", `"hunt\u0026r22"`} {
			if err := c.Output("reason", value); err != nil {
				t.Fatal(err)
			}
			texts := []string{said.String()[len(before):], read(t, all)}
			switch system {
			case ci.GitHub:
				texts = append(texts, read(t, github))
			case ci.CircleCI:
				texts = append(texts, read(t, circleci))
			}
			for _, text := range texts {
				if strings.Contains(text, "r22") || strings.Contains(text, "hunt") {
					t.Errorf("%s: %q is put out as\n%s", system, value, text)
				}
			}
			if !strings.Contains(read(t, all), "***") {
				t.Errorf("%s: %q is put out as\n%s", system, value, read(t, all))
			}
		}
	}
}

// Replacing keeps an older reader's file as it was.
func TestOutputFileIsReplaced(t *testing.T) {
	file := filepath.Join(t.TempDir(), "outputs.json")
	c, _ := open(ci.Plain)
	if err := c.OutputFile(file); err != nil {
		t.Fatal(err)
	}
	old, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	c.Output("build", "B1")
	now, err := os.Stat(file)
	if err != nil || os.SameFile(old, now) {
		t.Errorf("edited in place (%v)", err)
	}
	if runtime.GOOS != "windows" && now.Mode().Perm() != 0o644 {
		t.Errorf("mode %v", now.Mode())
	}
}

func TestOutputFileCannotBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "folder")
	if err := os.MkdirAll(filepath.Join(file, "full"), 0o755); err != nil {
		t.Fatal(err)
	}
	c, _ := open(ci.Plain)
	if err := c.OutputFile(file); err == nil {
		t.Error("no error for a folder in the way")
	}
	entries, _ := os.ReadDir(filepath.Dir(file))
	if len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

// A file of outputs reads back, by GitHub's rules, as exactly the pairs that
// were written, whatever the values; a refused pair leaves no trace.
func FuzzOutputFile(f *testing.F) {
	f.Add("a", "b", "c", "d")
	f.Add("name", "x\nend.ABC\nother=1\n", "a<<b", "\n\n")
	f.Add("n", "\r\n", "m", "=<<EOF\nx\nEOF")
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 string) {
		file := filepath.Join(t.TempDir(), "output")
		c, _ := open(ci.GitHub, "GITHUB_OUTPUT="+file)
		var want []pair
		for _, p := range []pair{{name1, value1}, {name2, value2}} {
			if c.Output(p.Name, p.Value) == nil {
				want = append(want, p)
			}
		}
		data, _ := os.ReadFile(file)
		got, ok := readOutputs(string(data))
		if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Errorf("ok %v: %s", ok, diff)
		}
	})
}
