//go:build !wrapper

package carried

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ConvoxEnv reads the program convox-env for Linux and an architecture, by Go's
// name of that, from the file that was built beside this program. An error that is
// [ErrNone] says that there is none, or one that does not run in every image.
func ConvoxEnv(architecture string) ([]byte, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(filepath.Dir(self), "convox-env")
	program, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: there is no %s (go build makes it from ./cmd/convox-env, and scripts/build a program that carries it)", ErrNone, file)
	}
	if err != nil {
		return nil, err
	}
	return program, usable(file, program, architecture)
}

// usable tells why a file is no program that runs by itself on Linux on an
// architecture.
func usable(name string, program []byte, architecture string) error {
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return fmt.Errorf("%w: %s is not for Linux", ErrNone, name)
	}
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "386": elf.EM_386, "arm": elf.EM_ARM,
		"ppc64le": elf.EM_PPC64, "riscv64": elf.EM_RISCV, "s390x": elf.EM_S390}
	if f.Machine != machines[architecture] {
		return fmt.Errorf("%w: %s is not for linux/%s", ErrNone, name, architecture)
	}
	for _, part := range f.Progs {
		if part.Type == elf.PT_INTERP {
			return fmt.Errorf("%w: %s needs files of this machine (build it with CGO_ENABLED=0)", ErrNone, name)
		}
	}
	return nil
}
