//go:build carrier

package carried

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/convox-ci/convox-ci/internal/carried/calls"
)

// program is made by scripts/build, which lays it over the source tree.
//
//go:embed program.zst
var program []byte

// Exec replaces this process by the whole program, with args and environ in the
// form of [os.Args] and [os.Environ]. It returns only if that cannot be done.
//
// The program is unpacked into memory and never onto a disk, so it needs no
// directory that may be written, and no one can put another in its place.
func Exec(args, environ []string) error {
	unpacker, err := zstd.NewReader(bytes.NewReader(program))
	if err != nil {
		return fmt.Errorf("unpack the whole program: %w", err)
	}
	defer unpacker.Close()
	fd, err := unix.MemfdCreate("convox-ci", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("make room in memory for the whole program: %w", err)
	}
	file := os.NewFile(uintptr(fd), "convox-ci")
	defer file.Close()
	size, err := unpacker.WriteTo(file)
	if err == nil {
		err = restore(fd, int(size))
	}
	if err != nil {
		return fmt.Errorf("unpack the whole program: %w", err)
	}
	return fmt.Errorf("start the whole program: %w", unix.Exec(fmt.Sprintf("/proc/self/fd/%d", fd), args, environ))
}

// restore takes back, where the program lies, what was done to it so that it packs
// better.
func restore(fd, size int) error {
	program, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	calls.Relative(program)
	return unix.Munmap(program)
}
