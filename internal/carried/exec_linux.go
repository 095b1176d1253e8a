//go:build carrier

package carried

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
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
	if _, err := unpacker.WriteTo(file); err != nil {
		return fmt.Errorf("unpack the whole program: %w", err)
	}
	return fmt.Errorf("start the whole program: %w", unix.Exec(fmt.Sprintf("/proc/self/fd/%d", fd), args, environ))
}
