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

	// defaultRatio is several times what logs and dumps come to; gzip can do a thousand.
	defaultRatio = 200

	// ratioFrom is how much may be unpacked before the ratio counts: a small file of zeros
	// fills no disk.
	ratioFrom = 256 << 20
)

// ErrEscape is the kind of the error for an entry whose name leads out of the folder.
var ErrEscape = errors.New("name leads out of the source folder")

// Limits bound what one archive may unpack to. Going over one is an error, so zero allows nothing,
// except for the ratio, which zero leaves open.
type Limits struct {
	Bytes int64 // of the tar stream, and of all files
	Files int   // entries of any kind, and the folders they need
	Ratio int64 // bytes of the tar stream for each one of the archive, once it is long
}

// DefaultLimits returns limits that no real source meets.
func DefaultLimits() Limits {
	return Limits{Bytes: defaultBytes, Files: defaultFiles, Ratio: defaultRatio}
}

// LimitError is the error for an archive beyond its [Limits].
type LimitError struct {
	Max  int64
	Unit string // "bytes", "files", "bytes in a name" or "bytes for each byte of the archive"
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
	packed := &counted{r: r}
	zip, err := gzip.NewReader(packed)
	if err != nil {
		return fmt.Errorf("opening source gzip: %w", cutShort(err))
	}
	defer zip.Close()
	plain := &limited{ctx: ctx, r: zip, max: u.limits.Bytes, packed: packed, ratio: u.limits.Ratio}
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

	packed *counted // what it is unpacked of
	ratio  int64    // 0 for any
}

// counted is a stream whose bytes are counted.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (l *limited) Read(p []byte) (int, error) {
	if l.ctx.Err() != nil {
		return 0, context.Cause(l.ctx)
	}
	n, err := l.r.Read(p)
	if l.n += int64(n); l.n > l.max {
		return 0, &LimitError{Max: l.max, Unit: "bytes"}
	}
	if l.ratio > 0 && l.n > ratioFrom && l.n/l.ratio > l.packed.n {
		return 0, &LimitError{Max: l.ratio, Unit: "bytes for each byte of the archive"}
	}
	return n, err
}
