//go:build wrapper

package carried

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/klauspost/compress/zstd"
)

// wrappers are made by scripts/build, which lays them over the source tree.
//
//go:embed convox-env_linux_*.zst
var wrappers embed.FS

// ConvoxEnv unpacks the program convox-env for Linux and an architecture, by Go's
// name of that. An error that is [ErrNone] says that there is none.
func ConvoxEnv(architecture string) ([]byte, error) {
	packed, err := wrappers.ReadFile("convox-env_linux_" + architecture + ".zst")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w for linux/%s", ErrNone, architecture)
	}
	if err != nil {
		return nil, err
	}
	unpacker, err := zstd.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpack convox-env: %w", err)
	}
	defer unpacker.Close()
	program, err := io.ReadAll(unpacker)
	if err != nil {
		return nil, fmt.Errorf("unpack convox-env: %w", err)
	}
	return program, nil
}
