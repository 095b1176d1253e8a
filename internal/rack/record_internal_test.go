package rack

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// shell is one of the shells that images have, under the name sh.
type shell struct {
	path string
	env  []string
}

// shells are those that run scripts differently: dash is that of Debian, and
// busybox that of Alpine.
func shells(t testing.TB) map[string]shell {
	t.Helper()
	all := map[string]shell{}
	for _, name := range []string{"dash", "busybox"} {
		program, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := os.Symlink(program, filepath.Join(dir, "sh")); err != nil {
			t.Fatal(err)
		}
		all[name] = shell{path: filepath.Join(dir, "sh"), env: []string{"PATH=" + dir + ":/usr/bin:/bin"}}
	}
	return all
}

// ran is what came of a script.
type ran struct {
	printed string
	status  int
}

func (s shell) command(text string) *exec.Cmd {
	cmd := exec.Command(s.path, "-c", text)
	cmd.Env = s.env
	return cmd
}

func (s shell) run(t testing.TB, text, input string) ran {
	t.Helper()
	var out bytes.Buffer
	cmd := s.command(text)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &out
	var ended *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &ended) {
		t.Fatal(err)
	}
	return ran{printed: out.String(), status: cmd.ProcessState.ExitCode()}
}

// look reads a record.
func (s shell) look(t testing.TB, token string) (found string, status int) {
	t.Helper()
	got := s.run(t, readRecord(token), "")
	found, status = parseRecord(got.printed)
	if got.status != 0 || found == "" {
		t.Errorf("a look ends with %d and %q", got.status, got.printed)
	}
	return found, status
}

// newToken is a token whose record is gone after the test.
func newToken(t testing.TB) string {
	t.Helper()
	token := strings.ToLower(rand.Text())
	t.Cleanup(func() {
		for _, end := range []string{"", ".pid", ".try"} {
			os.Remove(recordFile(token) + end)
		}
	})
	return token
}

var v2, v3 = App{Generation: "2"}, App{Generation: "3"}

// TestRecordedCommandIsTheSame: what a command prints and how it ends is as
// without a record, and the record has its status.
func TestRecordedCommandIsTheSame(t *testing.T) {
	for name, sh := range shells(t) {
		sh.env = append(sh.env, "r=kept", "s=too", "GREETING=it's me")
		for _, command := range []string{
			"true", "false", "exit 42", "echo one; echo two >&2; exit 3", "nosuchcommand", "echo 'unbalanced", "kill -9 $$", "exec sh -c 'exit 5'",
			`echo "$GREETING" '$GREETING' \$HOME "a\\b" 'a\b\n' ; echo $((1+2)) | tr 3 4`, `sh -c 'echo "$r $s"'`, "echo $r $s $# $0", "cat; exit 9",
			"trap 'echo bye' EXIT; exit 7", "set -e; false; echo not", "echo ü `echo x` #comment", "A=1 sh -c 'echo $A'", "cd /; pwd", "return 4",
			"echo a\necho b\nexit 6", "cat <<E\nit's $GREETING\nE\n", "echo 'a\n\\n\\047\\c b'\r\necho \\\n c", "if true\nthen echo yes\nfi", "echo \t x",
		} {
			want := sh.run(t, command, "input\n")
			token := newToken(t)
			text, prefix := v2.recorded(command, "", token)
			if got := sh.run(t, text, "input\n"); !prefix || strings.ContainsAny(text, "\r\n") || !same(got, want) {
				t.Errorf("%s: %q: got %+v, want %+v", name, command, got, want)
			}
			if strings.Contains(command, "$$") {
				continue
			}
			if found, status := sh.look(t, token); found != recordEnded || status != want.status {
				t.Errorf("%s: %q: the record says %s %d, want %d", name, command, found, status, want.status)
			}
		}
	}
}

// same compares all but the place that a shell gives for a fault.
func same(a, b ran) bool {
	if strings.Contains(b.printed, "sh: ") && strings.Contains(a.printed, "sh: ") {
		a.printed = b.printed
	}
	return a == b
}

// TestRecordedWordsAreTheSame: a v3 rack takes a command apart as a shell does,
// and has none.
func TestRecordedWordsAreTheSame(t *testing.T) {
	for name, sh := range shells(t) {
		sh.env = append(sh.env, "r=kept", "s=too")
		for _, test := range []struct{ command, entrypoint string }{
			{`sh -c 'echo "$r $s $0 $#"; exit 4' a "b c" ''`, ""}, {`printf '%s,' "it's" 'a "b"' '\' '$r'`, ""}, {"false", ""}, {"cat", ""},
			{`'b c'`, `printf '%s;' a`}, {"nosuchcommand", ""},
		} {
			want := sh.run(t, strings.TrimSpace(test.entrypoint+" "+test.command), "input")
			token := newToken(t)
			text, prefix := v3.recorded(test.command, test.entrypoint, token)
			if got := sh.run(t, text, "input"); prefix || strings.ContainsAny(text, "\r\n") || !same(got, want) {
				t.Errorf("%s: %q: got %+v, want %+v", name, test.command, got, want)
			}
			if found, status := sh.look(t, token); found != recordEnded || status != want.status {
				t.Errorf("%s: %q: the record says %s %d, want %d", name, test.command, found, status, want.status)
			}
		}
	}
}

// TestRecordOfACommandUnderWay: it has not begun, runs, was killed.
func TestRecordOfACommandUnderWay(t *testing.T) {
	for name, sh := range shells(t) {
		token := newToken(t)
		is := func(want string) {
			t.Helper()
			if found, _ := sh.look(t, token); found != want {
				t.Errorf("%s: the record says %s, want %s", name, found, want)
			}
		}
		is(recordNone)
		text, _ := v2.recorded("echo begun; cat", "", token)
		cmd := sh.command(text)
		in, _ := cmd.StdinPipe()
		out, _ := cmd.StdoutPipe()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		io.ReadFull(out, make([]byte, len("begun\n")))
		is(recordRunning)
		cmd.Process.Kill()
		in.Close()
		io.Copy(io.Discard, out)
		cmd.Wait()
		is(recordLost)
	}
}

// TestNoPlaceForARecord: a command runs as ever where none can be left, and
// nothing is said of it.
func TestNoPlaceForARecord(t *testing.T) {
	for name, sh := range shells(t) {
		token := newToken(t)
		if got := sh.run(t, probeRecord(token), ""); got != (ran{printed: kept + "\n"}) {
			t.Errorf("%s: a probe gives %+v", name, got)
		}
		token += "/none"
		if got := sh.run(t, probeRecord(token), ""); strings.Contains(got.printed, kept) {
			t.Errorf("%s: a probe gives %+v", name, got)
		}
		text, _ := v2.recorded("echo done; exit 3", "", token)
		if got := sh.run(t, text, ""); got != (ran{printed: "done\n", status: 3}) {
			t.Errorf("%s: the command gives %+v", name, got)
		}
		if found, _ := sh.look(t, token); found != recordLost {
			t.Errorf("%s: the record says %s", name, found)
		}
	}
}

// TestParseRecord: what else a container prints is passed over.
func TestParseRecord(t *testing.T) {
	for _, test := range []struct {
		printed, found string
		status         int
	}{
		{"ended 0\n", recordEnded, 0}, {"welcome\r\nended 137\r\n", recordEnded, 137}, {"running", recordRunning, 0}, {"lost\nbye\n", recordLost, 0},
		{"ended\n", "", 0}, {"ended x\n", "", 0}, {"", "", 0}, {"sh: not found\n", "", 0}, {"is running\n", "", 0},
	} {
		if found, status := parseRecord(test.printed); found != test.found || status != test.status {
			t.Errorf("%q: %s %d", test.printed, found, status)
		}
	}
}

// TestFit: what a rack cannot be told is refused, and lines only where there is
// no shell.
func TestFit(t *testing.T) {
	for _, test := range []struct {
		app     App
		command string
		fits    bool
	}{
		{v2, "echo one\ttwo", true}, {v2, "a\nb", true}, {v2, "a\r\nb", true}, {v2, "a\x00b", false}, {v2, "\x1b[1m", false}, {v2, "\x7f", false},
		{v3, "echo one\ttwo", true}, {v3, "a\nb", false}, {v3, "a\rb", false}, {v3, "a\x01", false}, {v3, "ü", true},
	} {
		text, err := test.app.Fit(test.command)
		var wrong *CommandError
		if test.fits != (err == nil) || err != nil && !errors.As(err, &wrong) || strings.ContainsAny(text, "\r\n") {
			t.Errorf("generation %s, %q: %q, %v", test.app.Generation, test.command, text, err)
		}
	}
	for name, sh := range shells(t) {
		text, _ := v2.Fit("echo a\necho 'b\n'\nexit 3")
		if got := sh.run(t, text, ""); got != (ran{printed: "a\nb\n\n", status: 3}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// FuzzCommandLine: a shell takes the text apart into the words that were given,
// also where it runs as a script of several lines with a record.
func FuzzCommandLine(f *testing.F) {
	for _, seed := range []string{"", "a b", "it's", `"\$x"` + "`y`", "a\nb\r\n", `\`, `\n\047\c%s`, "-n", "#x ~ * ? [a]", "ü\xff\x80", "'\\''", "\t ", "!x {a,b} $(z) ;&|<>"} {
		f.Add(seed, "second")
		f.Add("first", seed)
	}
	all := shells(f)
	f.Fuzz(func(t *testing.T, a, b string) {
		if strings.ContainsRune(a+b, 0) {
			return // no word has one
		}
		line := CommandLine([]string{"printf", `%s\0`, a, b})
		want := ran{printed: a + "\x00" + b + "\x00"}
		for name, sh := range all {
			sh.env = []string{"PATH=/nowhere"} // what is taken for a command is not found
			if got := sh.run(t, line, ""); got != want {
				t.Errorf("%s: %q: %+v, want %+v", name, line, got, want)
			}
			if text, err := v2.Fit(line); err == nil {
				if got := sh.run(t, text, ""); got != want {
					t.Errorf("%s: fit as %q: %+v, want %+v", name, text, got, want)
				}
				text, _ = v2.recorded(line, "", "none/none")
				if got := sh.run(t, text, ""); got != want {
					t.Errorf("%s: recorded as %q: %+v, want %+v", name, text, got, want)
				}
			}
		}
	})
}
