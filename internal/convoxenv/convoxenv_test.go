package convoxenv_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/convox-ci/convox-ci/internal/convoxenv"
)

// TestMain lets this test binary stand in for the program: run under the name
// convox-env it is that.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "convox-env" {
		os.Exit(convoxenv.Main(context.Background(), os.Args[1:], os.Environ(), os.Stderr))
	}
	os.Exit(m.Run())
}

// program is the program with an environment and arguments.
func program(t *testing.T, environ []string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Args = append([]string{"/convox-env"}, args...)
	cmd.Env = append([]string{}, environ...)
	return cmd
}

// ends runs the program to its end.
func ends(t *testing.T, environ []string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := program(t, environ, args...)
	var out, faults bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &faults
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	return out.String(), faults.String(), cmd.ProcessState.ExitCode()
}

// path is where the commands of the tests are.
const path = "PATH=/usr/bin:/bin"

// keeper serves an environment, and says how it was asked for it.
func keeper(t *testing.T, status int, stored string) (address string, asked *[]http.Header) {
	t.Helper()
	asked = new([]http.Header)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.Header)
		w.Header().Set("Location", "http://"+r.Host+"/elsewhere")
		w.WriteHeader(status)
		w.Write([]byte(stored))
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

func TestUsage(t *testing.T) {
	out, faults, status := ends(t, []string{path, "CONVOX_ENV_URL=nonsense"})
	if out != "" || faults != "usage: convox-env <command>\n" || status != 1 {
		t.Errorf("%q, %q, status %d", out, faults, status)
	}
}

func TestWithoutURL(t *testing.T) {
	for name, environ := range map[string][]string{
		"unset":       {path, "B=2", "A1=3", "A=1=1", "CONVOX_ENV_VARS=*", "CONVOX_ENV_KEY=k", "CONVOX_ENV_TOKEN=t"},
		"empty":       {path, "B=2", "A1=3", "A=1=1", "CONVOX_ENV_URL=", "CONVOX_ENV_VARS=*", "CONVOX_ENV_KEY=k", "CONVOX_ENV_TOKEN=t"},
		"given twice": {path, "B=1", "B=2", "A1=3", "A=1=1", "CONVOX_ENV_VARS=*", "CONVOX_ENV_KEY=k", "CONVOX_ENV_TOKEN=t"},
	} {
		want := "A=1=1\nA1=3\nB=2\nCONVOX_ENV_KEY=k\nCONVOX_ENV_TOKEN=t\n"
		if name == "empty" {
			want += "CONVOX_ENV_URL=\n"
		}
		want += "CONVOX_ENV_VARS=*\n" + path + "\n"
		if out, faults, status := ends(t, environ, "env"); out != want || faults != "" || status != 0 {
			t.Errorf("%s: %q, %q, status %d, want %q", name, out, faults, status, want)
		}
	}
}

// TestKept is the filter, and the way of what it keeps over what was there.
func TestKept(t *testing.T) {
	long := strings.Repeat("x", 64<<10-len("LONG="))
	for name, test := range map[string]struct{ stored, names, want string }{
		"listed":                 {"A=stored\nB=stored\nC=stored", "A,C", "A=stored\nC=stored\nOWN=own\n"},
		"over the own":           {"OWN=stored", "OWN", "OWN=stored\n"},
		"everything":             {"A=1\nB=2\n", "*", "A=1\nB=2\nOWN=own\n"},
		"everything among names": {"A=1\nB=2\n", "Z,*", "A=1\nB=2\nOWN=own\n"},
		"nothing":                {"A=1\nB=2\n", "", "OWN=own\n"},
		"no trimming":            {"A=1\nB=2\n", "A, B", "A=1\nOWN=own\n"},
		"first equals sign":      {"A=x=y=z", "A", "A=x=y=z\nOWN=own\n"},
		"empty value":            {"OWN=", "OWN", "OWN=\n"},
		"empty lines":            {"\n\nA=1\n\n\nB=2\n", "A,B", "A=1\nB=2\nOWN=own\n"},
		"no name, no value":      {"=x\nA\nB=2", "*", "B=2\nOWN=own\n"},
		"last of two":            {"A=1\nA=2", "A", "A=2\nOWN=own\n"},
		"a prefix is no name":    {"AB=1", "A", "OWN=own\n"},
		"longest line":           {"A=1\nLONG=" + long[1:] + "\nB=2", "A,B", "A=1\nB=2\nOWN=own\n"},
		"too long a line":        {"A=1\nLONG=" + long + "\nB=2", "A,B", "A=1\nOWN=own\n"},
		"none stored":            {"", "*", "OWN=own\n"},
	} {
		url, _ := keeper(t, 200, test.stored)
		out, faults, status := ends(t, []string{"OWN=own", "CONVOX_ENV_URL=" + url + "/env", "CONVOX_ENV_VARS=" + test.names}, "/usr/bin/env")
		if want := strings.Replace(test.want, "OWN=", "CONVOX_ENV_VARS="+test.names+"\nOWN=", 1); out != want || faults != "" || status != 0 {
			t.Errorf("%s: %q, %q, status %d, want %q", name, out, faults, status, want)
		}
	}
}

// TestToken: what opens the environment goes to the rack, and not to the command.
func TestToken(t *testing.T) {
	url, asked := keeper(t, 200, "A=1")
	out, faults, status := ends(t, []string{"CONVOX_ENV_URL=" + url + "/env?version=2", "CONVOX_ENV_VARS=A", "CONVOX_ENV_TOKEN=a.b.c"}, "/usr/bin/env")
	if out != "A=1\nCONVOX_ENV_VARS=A\n" || faults != "" || status != 0 {
		t.Errorf("%q, %q, status %d", out, faults, status)
	}
	user, token, _ := (&http.Request{Header: (*asked)[0]}).BasicAuth()
	if user != "jwt" || token != "a.b.c" {
		t.Errorf("it signs in as %q with %q", user, token)
	}
	if ends(t, []string{"CONVOX_ENV_URL=" + url + "/env"}, "/usr/bin/env"); len(*asked) != 2 || (*asked)[1].Get("Authorization") != "" {
		t.Errorf("without a token it signs in: %v", *asked)
	}
}

// TestFaults are all that end it before the command has begun. The command would
// print.
func TestFaults(t *testing.T) {
	const secret = "very-secret"
	denied, _ := keeper(t, 401, secret)
	moved, asked := keeper(t, 302, secret)
	open, _ := keeper(t, 200, "A=1")
	large, _ := keeper(t, 200, strings.Repeat("A=1\n", 2<<20+1))
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	fetching := "could not fetch convox env: "
	host := func(url string) string { return strings.TrimPrefix(url, "http://") }
	for name, test := range map[string]struct {
		environ []string
		command string
		want    string
	}{
		"no scheme":      {[]string{"CONVOX_ENV_URL=bucket/key"}, "echo", fetching + "unrecognized env url"},
		"other scheme":   {[]string{"CONVOX_ENV_URL=ftp://bucket/key"}, "echo", fetching + "unrecognized env url"},
		"no URL":         {[]string{"CONVOX_ENV_URL=http://a b/" + secret}, "echo", fetching + "unrecognized env url"},
		"no key":         {[]string{"CONVOX_ENV_URL=s3://bucket/"}, "echo", fetching + "unrecognized env url"},
		"no bucket":      {[]string{"CONVOX_ENV_URL=s3:///key"}, "echo", fetching + "unrecognized env url"},
		"S3":             {[]string{"CONVOX_ENV_URL=s3://bucket/key"}, "echo", fetching + "this convox-env fetches nothing from s3://, only from http:// and https://"},
		"credentials":    {[]string{"CONVOX_ENV_URL=http://jwt:" + secret + "@" + host(open) + "/env"}, "echo", fetching + "the env url must not hold credentials: give a token of the rack in CONVOX_ENV_TOKEN"},
		"denied":         {[]string{"CONVOX_ENV_TOKEN=" + secret, "CONVOX_ENV_URL=" + denied + "/env?sig=" + secret}, "echo", fetching + host(denied) + " answers 401 Unauthorized"},
		"moved":          {[]string{"CONVOX_ENV_TOKEN=" + secret, "CONVOX_ENV_URL=" + moved + "/env"}, "echo", fetching + host(moved) + " answers 302 Found"},
		"gone":           {[]string{"CONVOX_ENV_URL=http://" + gone.Addr().String() + "/env?sig=" + secret}, "echo", fetching + gone.Addr().String() + " does not answer: dial tcp " + gone.Addr().String() + ": connect: connection refused"},
		"large":          {[]string{"CONVOX_ENV_URL=" + large + "/env"}, "echo", fetching + "it is longer than 8388608 bytes"},
		"not encrypted":  {[]string{"CONVOX_ENV_KEY=" + secret, "CONVOX_ENV_URL=" + open + "/env"}, "echo", fetching + "the env is not an encrypted one"},
		"no such":        {nil, "no-such-command", `exec: "no-such-command": executable file not found in $PATH`},
		"no such file":   {nil, "/no/such", `exec: "/no/such": no such file or directory`},
		"no program":     {nil, "/etc/passwd", `exec: "/etc/passwd": permission denied`},
		"a directory":    {nil, "/etc", `exec: "/etc": is a directory`},
		"only in a file": {[]string{"CONVOX_ENV_VARS=*", "CONVOX_ENV_URL=" + open + "/env"}, "no-such", `exec: "no-such": executable file not found in $PATH`},
	} {
		out, faults, status := ends(t, append([]string{path}, test.environ...), test.command, "begun")
		if out != "" || faults != "ERROR: "+test.want+"\n" || status != 1 {
			t.Errorf("%s: %q, status %d\n%s want\nERROR: %s", name, out, status, faults, test.want)
		}
		if strings.Contains(faults, secret) {
			t.Errorf("%s: a secret is shown: %s", name, faults)
		}
	}
	if len(*asked) != 1 {
		t.Errorf("it followed where it was sent: %d requests", len(*asked))
	}
}

// TestLookUp: the command is looked for along the path that the process was given,
// not along one that is stored; empty parts of it are the current directory.
func TestLookUp(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/bin/echo", filepath.Join(dir, "say")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "plain"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	url, _ := keeper(t, 200, "PATH=/nowhere")
	for _, search := range []string{"/usr/bin:" + dir, ":/usr/bin", "/usr/bin:"} {
		cmd := program(t, []string{"PATH=" + search, "CONVOX_ENV_VARS=*", "CONVOX_ENV_URL=" + url + "/env"}, "say", "hello")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); string(out) != "hello\n" || err != nil {
			t.Errorf("%s: %q, %v", search, out, err)
		}
	}
	if _, faults, _ := ends(t, []string{"PATH=" + dir}, "plain"); !strings.Contains(faults, "executable file not found") {
		t.Errorf("a file that is no program: %q", faults)
	}
}

// TestReplaces: the command has the id of the process, its streams, and the
// signals to it.
func TestReplaces(t *testing.T) {
	cmd := program(t, []string{path}, "sh", "-c", `trap 'exit 3' TERM; echo $$; while read line; do echo "$line"; done`)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if lines.Scan(); lines.Text() != strconv.Itoa(cmd.Process.Pid) {
		t.Errorf("the command is process %s, and was started as %d", lines.Text(), cmd.Process.Pid)
	}
	if in.Write([]byte("a line\n")); !lines.Scan() || lines.Text() != "a line" {
		t.Errorf("it reads %q", lines.Text())
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if cmd.Wait(); cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("it ended with %v", cmd.ProcessState)
	}
}
