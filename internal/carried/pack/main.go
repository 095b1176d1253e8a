// Command pack packs a program to be carried: from standard input to standard
// output.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
)

// window is how far back, in bytes, equal parts are found: over most of the
// program. It is also what unpacking needs of memory.
const window = 32 << 20

func main() {
	if err := pack(os.Stdout, os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func pack(w io.Writer, r io.Reader) error {
	packer, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(window))
	if err != nil {
		return err
	}
	_, err = packer.ReadFrom(r)
	return errors.Join(err, packer.Close())
}
