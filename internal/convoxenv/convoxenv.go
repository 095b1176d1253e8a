// Package convoxenv is what the program convox-env does in every image that a
// Rack makes: it fetches the environment of a release, adds it to its own, and
// becomes the command that follows it.
package convoxenv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// failed is the exit status of everything that goes wrong before the command
// has begun.
const failed = 1

// Main becomes the command in args, whose environment is environ with what is
// stored for the app, both in the form of [os.Environ]. It returns, with the exit
// status, only if that cannot be done; stderr says why.
func Main(ctx context.Context, args, environ []string, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprintln(stderr, "usage: convox-env <command>")
		return failed
	}
	fmt.Fprintf(stderr, "ERROR: %v\n", become(ctx, args, environ))
	return failed
}

// become replaces this process, so that its id, and the signals to it, are the
// command's. It returns only if that cannot be done.
func become(ctx context.Context, args, environ []string) error {
	own := parse(environ)
	path := own["PATH"] // what is fetched is for the command, and not for the way to it
	if err := own.complete(ctx); err != nil {
		return fmt.Errorf("could not fetch convox env: %w", err)
	}
	program, err := find(args[0], path)
	if err != nil {
		return fmt.Errorf("exec: %q: %w", args[0], err)
	}
	if err := syscall.Exec(program, args, own.list()); err != nil {
		return fmt.Errorf("exec: %q: %w", args[0], err)
	}
	return nil
}

var errNoProgram = errors.New("executable file not found in $PATH")

// find is the file of a command, looked for as a shell does. An empty directory
// in a path is the current one.
// https://pubs.opengroup.org/onlinepubs/9699919799/basedefs/V1_chap08.html#tag_08_03
func find(command, path string) (string, error) {
	if strings.Contains(command, "/") {
		return command, executable(command)
	}
	for _, dir := range filepath.SplitList(path) {
		if dir == "" {
			dir = "."
		}
		file := dir + "/" + command
		if executable(file) == nil {
			return file, nil
		}
	}
	return "", errNoProgram
}

// executable tells why a file is not a program.
func executable(file string) error {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			err = e.Err
		}
		return err
	case info.IsDir():
		return syscall.EISDIR
	case info.Mode()&0o111 == 0:
		return fs.ErrPermission
	}
	return nil
}
