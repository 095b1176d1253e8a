package container

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"

	"github.com/containerd/console"
)

// endOfInput is the character by which a terminal ends its input.
const endOfInput = 4

// openTerminal gives runc a terminal of a size. It makes another one in the
// container and copies between the two, so this one only passes bytes on.
func openTerminal(cmd *exec.Cmd, size Size) (*streams, error) {
	ours, name, err := console.NewPty()
	if err != nil {
		return nil, err
	}
	theirs, err := os.OpenFile(name, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, errors.Join(err, ours.Close())
	}
	err = errors.Join(ours.SetRaw(), ours.Resize(console.WinSize{Height: size.Rows, Width: size.Columns}))
	if err != nil {
		return nil, errors.Join(err, theirs.Close(), ours.Close())
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	end := func() { ours.Write([]byte{endOfInput}) } // a terminal stays open
	return &streams{ours, ours, end, []io.Closer{theirs}, []io.Closer{ours}}, nil
}
