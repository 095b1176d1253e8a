package orb_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"gopkg.in/yaml.v3"
)

// carryOut carries out a job or a command of the orb, as CircleCI does on a machine:
//
//	[!] job NAME [PARAMETER...]
//	[!] command [-words] NAME [PARAMETER...]
//
// A parameter is YAML, as in "app: shop", or @FILE with several. A job begins with
// an empty BASH_ENV, a command goes on with that of the steps before it. With -words
// booleans are true and false, else 1 and 0: both are to be reckoned with. What was
// said becomes the output, the status of the step that failed the variable STATUS.
func carryOut(ts *testscript.TestScript, kind string, neg bool, args []string) {
	words := len(args) > 0 && args[0] == "-words"
	if words {
		args = args[1:]
	}
	if len(args) == 0 {
		ts.Fatalf("usage: [!] %s [-words] NAME [PARAMETER...]", kind)
	}
	c := compiler{orb: storyOf(ts).orb, used: map[string]bool{}}
	find := c.command
	if kind == "job" {
		find = c.job
		ts.Check(os.WriteFile(ts.Getenv("BASH_ENV"), nil, 0o644))
	}
	steps, err := find(args[0], parameters(ts, args[1:]))
	ts.Check(err)

	said, status := "", 0
	for _, s := range steps {
		if status == 0 || s.kind == "store_artifacts" {
			more, code := s.carryOut(ts, words)
			said += more
			if code != 0 {
				status = code
			}
		}
	}
	fmt.Fprint(ts.Stdout(), said)
	ts.Setenv("STATUS", strconv.Itoa(status))
	noSecret(ts, said)
	if (status == 0) == neg {
		ts.Fatalf("exit status %d", status)
	}
}

func parameters(ts *testscript.TestScript, args []string) map[string]any {
	given := map[string]any{}
	for _, arg := range args {
		if file, ok := strings.CutPrefix(arg, "@"); ok {
			arg = ts.ReadFile(file)
		}
		ts.Check(yaml.Unmarshal([]byte(arg), &given))
	}
	return given
}

// carryOut carries out a step. The source is there already, and the workspace and
// the artifacts are directories of the story.
func (s step) carryOut(ts *testscript.TestScript, words bool) (said string, status int) {
	switch s.kind {
	case "run":
		return s.run(ts, words)
	case "attach_workspace":
		ts.Check(replaceFS(ts.MkAbs(text(s.with["at"])), filepath.Join(ts.Getenv("WORK"), "workspace")))
	case "persist_to_workspace":
		for _, path := range s.with["paths"].([]any) {
			ts.Check(replaceFS(filepath.Join(ts.Getenv("WORK"), "workspace", path.(string)), ts.MkAbs(path.(string))))
		}
	case "store_artifacts":
		path := text(s.with["path"])
		ts.Check(replaceFS(filepath.Join(ts.Getenv("WORK"), "artifacts", path), ts.MkAbs(path)))
	}
	return "", 0
}

// run runs a step under CircleCI's shell. The step's environment is put on top of
// the job's.
//
// https://circleci.com/docs/reference/configuration-reference/#default-shell-options
func (s step) run(ts *testscript.TestScript, words bool) (said string, status int) {
	args := []string{}
	environment, _ := s.with["environment"].(map[string]any)
	for name, value := range environment {
		if b, ok := value.(bool); ok && !words {
			value = map[bool]int{true: 1, false: 0}[b]
		}
		args = append(args, fmt.Sprintf("%s=%v", name, value))
	}
	shell := ts.Getenv("STORY_SHELL")
	if shell == "" {
		shell = "bash"
	}
	args = append(args, shell, "-eo", "pipefail", "-c", text(s.with["command"]))
	err := ts.Exec("env", args...)
	said = ts.ReadFile("stdout") + ts.ReadFile("stderr")
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		ts.Check(err)
	}
	if exit != nil {
		status = exit.ExitCode()
	}
	return said, status
}

// replaceFS copies a directory over another, which need not be there.
func replaceFS(to, from string) error {
	if _, err := os.Stat(from); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return filepath.Walk(from, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if info.IsDir() {
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), data, 0o644)
	})
}

// noSecret looks for the key in what was said, and in all that was left behind.
func noSecret(ts *testscript.TestScript, said string) {
	all := said
	for _, dir := range []string{"convox-output", "workspace", "artifacts", "bash.env"} {
		filepath.Walk(filepath.Join(ts.Getenv("WORK"), dir), func(path string, info os.FileInfo, err error) error {
			if err == nil && info.Mode().IsRegular() {
				all += ts.ReadFile(path)
			}
			return nil
		})
	}
	for _, form := range []string{
		key, url.QueryEscape(key), url.PathEscape(key), strings.TrimPrefix(url.UserPassword("", key).String(), ":"),
		base64.StdEncoding.EncodeToString([]byte("convox:" + key)), strings.ReplaceAll(key, "'", `'\''`),
	} {
		if strings.Contains(all, form) {
			ts.Fatalf("the key is shown, as %q", form)
		}
	}
}
