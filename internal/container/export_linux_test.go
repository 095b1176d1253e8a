package container

import (
	"io"
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// UnpackBelow unpacks an archive into a directory as into that of a container.
func UnpackBelow(dir string, r io.Reader) error {
	root, err := os.Open(dir)
	if err != nil {
		return err
	}
	in := &inside{root, specs.User{}}
	defer in.close()
	return in.unpack(r)
}
