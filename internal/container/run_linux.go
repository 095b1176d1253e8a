package container

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Run runs a command in a container and gives its exit status, or 128 and the
// number of the signal that ended it. It returns when the command has ended and
// its output is written; to end it before, the container is removed. A fault of
// the output does not disturb the command. The error is a [*StartError] if the
// command was not started.
//
// Output and errors come in the order in which they were written, but for an
// image without a shell: there runc passes them on by two ways.
func (e *Engine) Run(id string, c Command) (int, error) {
	box := e.find(id)
	if box == nil {
		return 0, &StartError{"there is no container " + id}
	}
	args, err := box.args(c)
	if err != nil {
		return 0, &StartError{err.Error()}
	}
	scratch, err := e.scratch()
	if err != nil {
		return 0, &StartError{err.Error()}
	}
	defer os.RemoveAll(scratch)
	p := box.process(args, c.Env)
	if c.Terminal != nil {
		p.Terminal, p.Env = true, merge([]string{"TERM=xterm"}, p.Env)
		p.ConsoleSize = &specs.Box{Height: uint(c.Terminal.Rows), Width: uint(c.Terminal.Columns)}
	}
	// A file and not arguments, which every process of the machine could read.
	if err := writeJSON(filepath.Join(scratch, "process.json"), p); err != nil {
		return 0, &StartError{err.Error()}
	}
	cmd := e.command(scratch, "exec", "--process", filepath.Join(scratch, "process.json"), id)
	err = attach(cmd, c, func() bool { return fault(scratch) == "" })
	code, err := status(err)
	if reason := fault(scratch); code == runcFailed && reason != "" {
		return 0, &StartError{reason}
	}
	return code, err
}

// runcFailed is the status of runc when it has not started the command.
const runcFailed = 255

// status reads how runc, and with it the command, ended.
func status(err error) (int, error) {
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok && err != nil {
		return 0, &StartError{err.Error()}
	}
	if ok {
		if s, ok := exit.Sys().(syscall.WaitStatus); ok && s.Signaled() { // runc itself was killed
			return 128 + int(s.Signal()), nil
		}
		return exit.ExitCode(), nil
	}
	return 0, nil
}

// oneWay makes a shell lead errors where output goes, and become the command
// that follows.
const oneWay = `exec "$0" "$@" 2>&1`

// args are the words that are run for a command.
func (c *held) args(cmd Command) ([]string, error) {
	args, shell := []string{"sh", "-c", cmd.Line}, c.hasShell()
	if !shell {
		var err error
		if args, err = words(cmd.Line); err != nil {
			return nil, err
		}
	}
	switch {
	case cmd.Entrypoint:
		args = slices.Concat(c.config.Entrypoint, args)
	case cmd.Wrapper != "" && c.hasProgram(cmd.Wrapper):
		args = slices.Concat([]string{cmd.Wrapper}, args)
	}
	if len(args) == 0 {
		return nil, errors.New("there is no command")
	}
	if shell && cmd.Terminal == nil {
		args = slices.Concat([]string{"sh", "-c", oneWay}, args)
	}
	return args, nil
}

// hasShell tells whether the image has a program sh where it looks for programs.
func (c *held) hasShell() bool {
	path := ""
	for _, entry := range merge([]string{defaultPath}, c.config.Env) {
		if dirs, ok := strings.CutPrefix(entry, "PATH="); ok {
			path = dirs
		}
	}
	return slices.ContainsFunc(strings.Split(path, ":"), func(dir string) bool { return c.hasProgram(filepath.Join("/", dir, "sh")) })
}

func (c *held) hasProgram(file string) bool {
	name, err := fileOf(c.tree, file)
	if err != nil || name == "" {
		return false
	}
	info, err := os.Stat(name)
	return err == nil && info.Mode()&0o111 != 0
}

// attach runs runc between the streams of a command.
func attach(cmd *exec.Cmd, c Command, ran func() bool) error {
	s, err := openStreams(cmd, c.Terminal)
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		s.closeAll()
		return err
	}
	s.closeTheirs()
	if c.Input == nil {
		s.endInput()
	} else {
		go func() {
			io.Copy(s.input, c.Input) // ends with either of them
			s.endInput()
		}()
	}
	forward(s.output, c.Output, ran)
	err = cmd.Wait()
	s.closeAll()
	return err
}

// runcFault begins what runc writes, also where the command's output goes, when
// it cannot start the command.
var runcFault = []byte("exec failed: ")

// forward copies output up to its end. Words of runc itself are left out: they
// are in its log, and in the error.
func forward(from io.Reader, to io.Writer, ran func() bool) {
	p := make([]byte, 32<<10)
	n, err := from.Read(p)
	if bytes.HasPrefix(p[:n], runcFault) {
		var more int
		if more, err = from.Read(p[n:]); more == 0 && err != nil && !ran() {
			return
		}
		n += more
	}
	for {
		if n > 0 {
			to.Write(p[:n]) // what becomes of it is the reader's concern
		}
		if err != nil {
			return
		}
		n, err = from.Read(p)
	}
}

// streams are this side's ends of what a command reads and writes.
type streams struct {
	input    io.WriteCloser
	output   io.Reader
	endInput func() // what the command sees as the end of its input
	theirs   []io.Closer
	ours     []io.Closer
}

func (s *streams) closeTheirs() {
	for _, c := range s.theirs {
		c.Close()
	}
}

func (s *streams) closeAll() {
	s.closeTheirs()
	for _, c := range s.ours {
		c.Close()
	}
}

// openStreams gives a command its streams.
func openStreams(cmd *exec.Cmd, terminal *Size) (*streams, error) {
	if terminal != nil {
		return openTerminal(cmd, *terminal)
	}
	in, input, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	output, out, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, in.Close(), input.Close())
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, out
	end := sync.OnceFunc(func() { input.Close() })
	return &streams{input, output, end, []io.Closer{in, out}, []io.Closer{output, input}}, nil
}
