package main

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// lines are what a flood is made of: lines of a build log.
var lines = bytes.Repeat([]byte("#7 12.345 a line of a log that goes on and on, 0123456789\n"), 1000)

// flood puts a log of that many bytes in the place of the stored log of a build.
func flood(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: flood APP BUILD BYTES")
	}
	size, err := strconv.ParseInt(args[2], 10, 64)
	ts.Check(err)
	u := url.URL{Scheme: "http", User: url.UserPassword("convox", key), Host: ts.Getenv("RACK_HOST"), Path: "/apps/" + args[0] + "/objects/build/" + args[1] + "/logs"}
	res, err := http.Post(u.String(), "application/octet-stream", io.LimitReader(&endless{}, size))
	ts.Check(err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		ts.Fatalf("storing the log: %s", res.Status)
	}
}

// endless reads as lines without end.
type endless struct{ at int }

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, lines[e.at:])
	e.at = (e.at + n) % len(lines)
	return n, nil
}

// tally counts bytes.
type tally struct{ n int64 }

func (t *tally) Write(p []byte) (int, error) {
	t.n += int64(len(p))
	return len(p), nil
}

// drained runs a program that must say so many bytes, a line end more or less,
// and need so many megabytes at most.
func drained(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: drained BYTES MEGABYTES PROGRAM [ARGUMENT...]")
	}
	size, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	limit, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	var said tally
	cmd := exec.Command(args[2], args[3:]...)
	cmd.Env, cmd.Dir, cmd.Stdout = environment(ts), ts.MkAbs("."), &said
	ts.Check(cmd.Run())
	if said.n < size || said.n > size+1 {
		ts.Fatalf("it said %d bytes, not %d", said.n, size)
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if peak := usage.Maxrss >> 10; ok && runtime.GOOS == "linux" && peak > limit {
		ts.Fatalf("it needed %d MB of memory, more than %d", peak, limit)
	}
}
