package container_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/convox-ci/convox-ci/internal/container"
)

func TestRun(t *testing.T) {
	l := start(t)
	l.images["shell"] = image(t, v1.Config{Env: []string{"PATH=/bin", "KIND=image", "MORE=image"}, WorkingDir: "/work/dir"}, shell(t, nil))
	l.create("c1", "shell")
	hosts, err := os.ReadFile("/etc/hosts")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		command container.Command
		want    string
		status  int
	}{
		{container.Command{Line: "echo one && echo two >&2"}, "one\ntwo\n", 0},
		{container.Command{Line: "exit 3"}, "", 3},
		{container.Command{Line: "exit 255"}, "", 255},
		{container.Command{Line: "echo 'exec failed: not really'; exit 255"}, "exec failed: not really\n", 255},
		{container.Command{Line: "kill -9 $$"}, "", 137},
		{container.Command{Line: "kill -15 $$"}, "", 143},
		{container.Command{Line: "no-such-program"}, "sh: no-such-program: not found\n", 127},
		{container.Command{Line: "cat", Input: strings.NewReader("a\nb")}, "a\nb", 0},
		{container.Command{Line: "cat"}, "", 0},
		{container.Command{Line: "pwd; echo $KIND $MORE", Env: []string{"KIND=command"}}, "/work/dir\ncommand image\n", 0},
		{container.Command{Line: "echo ${HOME}; id"}, "/root\nuid=0(root) gid=0(root)\n", 0},
		{container.Command{Line: "cat /etc/hosts"}, string(hosts), 0},
		{container.Command{Line: "hostname"}, "c1\n", 0},
		{container.Command{Line: "test -t 1 || echo no terminal"}, "no terminal\n", 0},
		{container.Command{Line: "mknod /null c 1 3 && echo made"}, "made\n", 0},
		{container.Command{Line: "mount -t tmpfs none /mnt 2>/dev/null || echo refused"}, "refused\n", 0},
	} {
		got, status := l.run("c1", test.command)
		if got != test.want || status != test.status {
			t.Errorf("%q: %q, %d, want %q, %d", test.command.Line, got, status, test.want, test.status)
		}
	}
}

// TestWrapper: a program stands before commands where the image has it and they
// have no entry point before them.
func TestWrapper(t *testing.T) {
	l := start(t)
	config := v1.Config{Env: []string{"PATH=/bin"}, Entrypoint: []string{"env", "BY=entry point"}}
	const script = "#!/bin/sh\nBY=wrapper exec \"$@\"\n"
	l.images["wrapped"] = image(t, config, shell(t, tree{"wrapper": script}))
	l.images["plain"] = image(t, config, shell(t, nil))
	l.images["bare"] = image(t, v1.Config{}, layer(t, tree{"busybox": busybox(t)}.entries(), tree{"busybox": busybox(t)}))
	for _, test := range []struct {
		image   string
		command container.Command
		want    string
	}{
		{"wrapped", container.Command{Line: "echo by $BY", Wrapper: "/wrapper"}, "by wrapper\n"},
		{"wrapped", container.Command{Line: "echo by $BY", Wrapper: "/wrapper", Entrypoint: true}, "by entry point\n"},
		{"wrapped", container.Command{Line: "echo by $BY"}, "by\n"},
		{"plain", container.Command{Line: "echo by $BY", Wrapper: "/wrapper"}, "by\n"},
		{"plain", container.Command{Line: "echo by $BY", Wrapper: "/etc"}, "by\n"},
		{"bare", container.Command{Line: "echo one 'two  three'", Wrapper: "/busybox"}, "one two  three\n"},
	} {
		id := fmt.Sprintf("c%d", len(l.left("containers")))
		l.create(id, test.image)
		if got, status := l.run(id, test.command); got != test.want || status != 0 {
			t.Errorf("%s: %+v: %q, %d, want %q", test.image, test.command, got, status, test.want)
		}
	}
}

func TestLargeOutputIsWholeAndInOrder(t *testing.T) {
	l := start(t)
	l.images["shell"] = image(t, v1.Config{}, shell(t, nil))
	l.create("c1", "shell")
	const lines = 1_000_000
	var want strings.Builder
	for i := range lines {
		fmt.Fprintln(&want, i+1)
	}
	got, _ := l.run("c1", container.Command{Line: fmt.Sprintf("seq %d", lines)})
	if got != want.String() {
		t.Errorf("%d bytes, want %d, or others", len(got), want.Len())
	}
}

func TestUserOfTheImage(t *testing.T) {
	l := start(t)
	for name, want := range map[string]string{
		"":          "uid=0(root) gid=0(root)\n",
		"ann":       "uid=1001(ann) gid=1002(ann) groups=1003(more)\n",
		"ann:more":  "uid=1001(ann) gid=1003(more)\n",
		"1001":      "uid=1001(ann) gid=1002(ann) groups=1003(more)\n",
		"4000:5000": "uid=4000 gid=5000\n",
	} {
		ref, id := "user "+name, strings.ReplaceAll("c"+name, ":", "x")
		l.images[ref] = image(t, v1.Config{User: name}, shell(t, nil))
		l.create(id, ref)
		if got, _ := l.run(id, container.Command{Line: "id"}); got != want {
			t.Errorf("user %q: %q, want %q", name, got, want)
		}
	}
	l.images["nobody"] = image(t, v1.Config{User: "nobody"}, shell(t, nil))
	if err := l.engine.Create(t.Context(), "c9", "nobody"); err == nil || !strings.Contains(err.Error(), "unable to find user nobody") {
		t.Errorf("a user that is not there: %v", err)
	}
	if left := l.left("containers"); len(left) != 5 {
		t.Errorf("what was not made is left: %q", left)
	}
}

func TestEntrypoint(t *testing.T) {
	l := start(t)
	f := tree{"entry": "#!/bin/sh\necho before \"$@\"\nexec \"$@\"\n"}
	l.images["entry"] = image(t, v1.Config{Entrypoint: []string{"/entry", "first"}}, shell(t, f))
	l.images["run"] = image(t, v1.Config{Entrypoint: []string{"/bin/env", "A=1"}}, shell(t, f))
	l.create("c1", "entry")
	l.create("c2", "run")
	if got, status := l.run("c1", container.Command{Line: "exit 4", Entrypoint: true}); got != "before first sh -c exit 4\n" && status != 127 {
		t.Errorf("%q, %d", got, status)
	}
	if got, status := l.run("c2", container.Command{Line: "echo $A; exit 4", Entrypoint: true}); got != "1\n" || status != 4 {
		t.Errorf("%q, %d", got, status)
	}
	if got, _ := l.run("c2", container.Command{Line: "echo $A"}); got != "\n" {
		t.Errorf("%q", got)
	}
}

// TestImageWithoutShell has nothing in its image but one program.
func TestImageWithoutShell(t *testing.T) {
	l := start(t)
	f := tree{"echo": busybox(t)}
	l.images["scratch"] = image(t, v1.Config{Env: []string{"PATH=/"}}, layer(t, f.entries(), f))
	l.create("c1", "scratch")
	if got, status := l.run("c1", container.Command{Line: `echo 'a  b' "c \" $d" e\ f`}); got != "a  b c \" $d e f\n" || status != 0 {
		t.Errorf("%q, %d", got, status)
	}
	for line, want := range map[string]string{
		"no-such-program": `executable file not found in $PATH`,
		"/no/such":        "no such file or directory",
		"echo 'a":         "a quote is not closed",
		"":                "there is no command",
	} {
		var out safeBuffer
		_, err := l.engine.Run("c1", container.Command{Line: line, Output: &out})
		var not *container.StartError
		if !errors.As(err, &not) || !strings.Contains(not.Reason, want) || out.String() != "" {
			t.Errorf("%q: %v, want %q; output %q", line, err, want, out.String())
		}
	}
}

func TestTerminal(t *testing.T) {
	l := start(t)
	l.images["shell"] = image(t, v1.Config{}, shell(t, nil))
	l.create("c1", "shell")
	size := &container.Size{Rows: 33, Columns: 101}
	got, status := l.run("c1", container.Command{Line: "stty size; echo $TERM; cat; exit 5", Terminal: size, Input: strings.NewReader("typed\n")})
	if want := "33 101\r\nxterm\r\ntyped\r\n"; status != 5 || !strings.HasSuffix(got, want) && got != "typed\r\n33 101\r\nxterm\r\ntyped\r\n" {
		t.Errorf("%q, %d, want %q, 5", got, status, want)
	}
}
