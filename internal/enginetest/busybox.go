package enginetest

import (
	"errors"
	"io/fs"
	"os"
)

// Busybox is the machine's busybox, which runs without a system around it: the images
// of tests are made of it, so that none has to be fetched. The error names the
// Debian package that has it.
func Busybox() ([]byte, error) {
	for _, path := range []string{"/bin/busybox", "/usr/bin/busybox"} {
		if data, err := os.ReadFile(path); !errors.Is(err, fs.ErrNotExist) {
			return data, err
		}
	}
	return nil, errors.New("busybox is missing; on Debian and Ubuntu: apt-get install busybox-static")
}
