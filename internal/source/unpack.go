package source

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
)

const (
	// defaultBytes is far above the largest sources seen (some hundred MB) and below the free disk
	// of the smallest hosted CI machines (14 GB).
	defaultBytes = 8 << 30

	// defaultFiles is fifteen times a tree with all its dependencies checked in.
	defaultFiles = 1_000_000
)

// ErrEscape is the kind of the error for an entry whose name leads out of the folder.
var ErrEscape = errors.New("name leads out of the source folder")

// Limits bound what one archive may unpack to. Reaching one is an error, so zero allows nothing.
type Limits struct {
	Bytes int64 // of the tar stream, and of all files
	Files int   // entries of any kind, and the folders they need
}

// DefaultLimits returns limits that no real source meets.
func DefaultLimits() Limits {
	return Limits{Bytes: defaultBytes, Files: defaultFiles}
}

// LimitError is the error for an archive beyond its [Limits].
type LimitError struct {
	Max  int64
	Unit string // "bytes", "files" or "bytes in a name"
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("source is over the limit of %d %s", e.Max, e.Unit)
}

// Unpacked is what an archive has left in the folder.
type Unpacked struct {
	Files   int   // regular files written
	Bytes   int64 // their sizes added up
	Skipped Names // links, devices and other entries that were not restored
}

// Unpack restores the gzipped tar stream r below root and nowhere else. As a Rack does, it restores
// folders and regular files with their permission bits, and skips links, devices and everything
// else. Owners and times are not restored; folders get at least u+rwx; folders without an entry of
// their own get 0755, less the umask. Of several entries with one name the last one wins.
//
// Errors are [ErrEscape] for an absolute name or one with "..", a [*LimitError],
// [io.ErrUnexpectedEOF] for an archive cut short, the error of r or of the disk, or the cause of
// ctx. What was unpacked before an error stays.
func Unpack(ctx context.Context, root *os.Root, r io.Reader, limits Limits) (Unpacked, error) {
	u := &unpacker{root: root, limits: limits, buffer: make([]byte, copySize)}
	err := u.all(ctx, r)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return u.done, err
}

// all restores every entry, and then reads to the end of the gzip stream: only there is its
// checksum.
func (u *unpacker) all(ctx context.Context, r io.Reader) error {
	zip, err := gzip.NewReader(r)
	if err != nil {
		return fmt.Errorf("opening source gzip: %w", cutShort(err))
	}
	defer zip.Close()
	plain := &limited{ctx: ctx, r: zip, max: u.limits.Bytes}
	in := tar.NewReader(plain)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read source archive: %w", err)
		}
		if err := u.entry(h, in); err != nil {
			return fmt.Errorf("unpack %q: %w", h.Name[:min(len(h.Name), maxName)], err)
		}
	}
	if _, err := io.Copy(io.Discard, plain); err != nil {
		return fmt.Errorf("read source archive: %w", err)
	}
	return nil
}

// cutShort makes an end where there should be more an error that says so.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// limited is the tar stream: counted, and ended with ctx.
type limited struct {
	ctx context.Context
	r   io.Reader
	n   int64
	max int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.ctx.Err() != nil {
		return 0, context.Cause(l.ctx)
	}
	n, err := l.r.Read(p)
	if l.n += int64(n); l.n > l.max {
		return 0, &LimitError{Max: l.max, Unit: "bytes"}
	}
	return n, err
}
