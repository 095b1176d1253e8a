package convoxci_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/convox-ci/convox-ci/internal/manifest"
)

// block is a fenced part of a page. The word after its language says what is in
// it, and so what is done with it:
//
//	yaml github     a workflow or a list of steps: linted, our Actions known
//	yaml circleci   a file of CircleCI: read as YAML
//	yaml ci         a file of another system: read as YAML
//	yaml convox     a convox.yml: read as a Rack reads it
//	sh              run, in the order of the page, in one fresh directory
//	console, text   only shown
type block struct {
	page       string
	line       int // of its first line
	lang, kind string
	text       string
}

func (b block) String() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

// blocks are the fenced parts of all pages, page by page.
func blocks(t *testing.T) map[string][]block {
	t.Helper()
	all := map[string][]block{}
	for page, text := range pages(t) {
		found, err := fenced(page, text)
		if err != nil {
			t.Error(err)
		}
		all[page] = found
	}
	return all
}

// fenced takes a page apart. A fence may be indented, as in a list.
func fenced(page, text string) ([]block, error) {
	var list []block
	open, indent := false, ""
	number := 0
	for line := range strings.Lines(text) {
		number++
		trimmed := strings.TrimLeft(line, " ")
		info, isFence := strings.CutPrefix(strings.TrimSpace(trimmed), "```")
		switch {
		case isFence && open:
			open = false
		case isFence:
			open, indent = true, line[:len(line)-len(trimmed)]
			lang, kind, _ := strings.Cut(info, " ")
			list = append(list, block{page: page, line: number + 1, lang: lang, kind: kind})
		case open:
			list[len(list)-1].text += strings.TrimPrefix(line, indent)
		}
	}
	if open {
		return nil, fmt.Errorf("%s: the block from line %d has no end", page, list[len(list)-1].line)
	}
	return list, nil
}

// ours is a reference to an Action of this repository.
var ours = regexp.MustCompile(`convox-ci/convox-ci((?:/[a-z/-]+)?)@[\w.]+`)

// TestBlocks looks at every fenced part of the pages that is not run.
func TestBlocks(t *testing.T) {
	repository := newRepository(t)
	for _, list := range blocks(t) {
		for _, b := range list {
			var err error
			switch b.lang + " " + b.kind {
			case "yaml github":
				err = repository.add(b)
			case "yaml circleci", "yaml ci":
				err = yaml.Unmarshal([]byte(b.text), new(yaml.Node))
			case "yaml convox":
				_, err = manifest.Inspect([]byte(b.text))
			case "sh ", "console ", "text ", "go ", "json ":
			default:
				t.Errorf("%s: nothing is known of a block of %q %q", b, b.lang, b.kind)
			}
			if err != nil {
				t.Errorf("%s: %v", b, err)
			}
		}
	}
	if said := repository.lint(t); said != "" {
		t.Errorf("actionlint:\n%s", said)
	}
}

// TestBlocksAreLookedAt: what is wrong with a block is found.
func TestBlocksAreLookedAt(t *testing.T) {
	repository := newRepository(t)
	err := errors.Join(
		repository.add(block{page: "bad.md", line: 1, text: "- uses: convox-ci/convox-ci@v1\n  with:\n    no-cash: true\n"}),
		repository.add(block{page: "bad.md", line: 9, text: "on: push\njobs:\n  a:\n    steps:\n      - uses: convox-ci/convox-ci@v1\n"}))
	if err != nil {
		t.Fatal(err)
	}
	said := repository.lint(t)
	for _, want := range []string{"bad_1.yml", `"no-cash"`, "bad_9.yml", `"runs-on"`} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not in\n%s", want, said)
		}
	}
	if err := repository.add(block{page: "bad.md", text: "- uses: convox-ci/convox-ci/actions/none@v1\n"}); err == nil {
		t.Error("an Action that does not exist is none")
	}
	if _, err := fenced("bad.md", "```sh\necho\n"); err == nil {
		t.Error("a block without an end is none")
	}
}

// entrypoint is a program of the image that an Action is run by.
var entrypoint = regexp.MustCompile(`(?m)^  (?:post-)?entrypoint: (/\S+)$`)

// repository is a checkout in which our Actions are local, so that their inputs
// are known to actionlint.
type repository struct{ dir string }

func newRepository(t *testing.T) repository {
	t.Helper()
	r := repository{t.TempDir()}
	for _, dir := range []string{".git", ".github/workflows"} {
		if err := os.MkdirAll(filepath.Join(r.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	names := []string{"Dockerfile"}
	for _, a := range actionFiles() {
		names = append(names, a.path)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(r.dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(r.dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
		// actionlint looks for the programs of the image beside the Action.
		for _, m := range entrypoint.FindAllSubmatch(data, -1) {
			if err := os.MkdirAll(filepath.Join(r.dir, filepath.Dir(name), string(m[1])), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	return r
}

// add makes a workflow of a block, which may be the steps of a job alone. That an Action of ours exists is not for the linter.
func (r repository) add(b block) error {
	for _, m := range ours.FindAllStringSubmatch(b.text, -1) {
		if _, err := os.Stat(filepath.Join(r.dir, m[1], "action.yml")); err != nil {
			return fmt.Errorf("there is no %s", m[0])
		}
	}
	text := ours.ReplaceAllString(b.text, ".$1")
	text = strings.ReplaceAll(text, "uses: . ", "uses: ./ ")
	text = strings.ReplaceAll(text, "uses: .\n", "uses: ./\n")
	if first := strings.TrimLeft(regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(text, ""), "\n"); strings.HasPrefix(first, "- ") {
		text = "on: push\njobs:\n  job:\n    runs-on: ubuntu-24.04\n    steps:\n" + regexp.MustCompile(`(?m)^`).ReplaceAllString(text, "      ")
	}
	name := fmt.Sprintf("%s_%d.yml", strings.TrimSuffix(filepath.Base(b.page), ".md"), b.line)
	return os.WriteFile(filepath.Join(r.dir, ".github/workflows", name), []byte(text), 0o644)
}

// lint is what actionlint says of all workflows, "" for nothing.
func (r repository) lint(t *testing.T) string {
	t.Helper()
	program, err := filepath.Abs("bin/tools/actionlint")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("%v; make bin/tools/actionlint builds it", err)
	}
	cmd := exec.Command(program, "-no-color", "-oneline")
	cmd.Dir = r.dir
	out, err := cmd.CombinedOutput()
	if err != nil && len(out) == 0 {
		t.Fatal(err)
	}
	return string(out)
}

// TestShellBlocks runs what a person is told to type, with the binary on the PATH
// and a home of its own. A page is one story, and stops where a command fails.
func TestShellBlocks(t *testing.T) {
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(bin, "convox-ci"), "./cmd/convox-ci")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for page, list := range blocks(t) {
		t.Run(filepath.Base(page), func(t *testing.T) {
			t.Parallel() // most of the time a page waits for a disk
			home, work := t.TempDir(), t.TempDir()
			for _, b := range list {
				if b.lang != "sh" {
					continue
				}
				cmd := exec.Command("sh", "-eu", "-c", b.text)
				cmd.Dir = work
				cmd.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + os.TempDir(),
					"DOCKER_HOST=unix://" + filepath.Join(home, "no-docker.sock")} // the builder is the embedded one
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s\n%s", b, err, b.text, out)
				}
			}
		})
	}
}
