package source_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/convox-ci/convox-ci/internal/source"
)

// generated is an archive that is made while it is read, and says how many bytes
// of tar were made of it in the end.
func generated(t *testing.T, write func(*tar.Writer) error) (packed io.Reader, made func() int64) {
	t.Helper()
	r, w := io.Pipe()
	t.Cleanup(func() { r.Close() })
	var n int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		zip, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
		out := tar.NewWriter(writerFunc(func(p []byte) (int, error) {
			n += int64(len(p))
			return zip.Write(p)
		}))
		w.CloseWithError(errors.Join(err, write(out), out.Close(), zip.Close()))
	}()
	return r, func() int64 { r.Close(); <-done; return n }
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func unpackStream(t *testing.T, r io.Reader) error {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	_, err = source.Unpack(t.Context(), root, r, source.DefaultLimits())
	return err
}

// A few megabytes that would become more than the disk has are refused when they
// are some hundred megabytes.
func TestZipBomb(t *testing.T) {
	const size = 8<<30 - 1<<20 // just below the limit of bytes
	packed, made := generated(t, func(w *tar.Writer) error {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "zeros", Mode: 0o644, Size: size}); err != nil {
			return err
		}
		_, err := io.Copy(w, io.LimitReader(zeros{}, size))
		return err
	})
	err := unpackStream(t, packed)
	if limit, ok := errors.AsType[*source.LimitError](err); !ok || limit.Unit != "bytes for each byte of the archive" {
		t.Errorf("error is %v", err)
	}
	if n := made(); n > 300<<20 {
		t.Errorf("%d bytes were unpacked until then", n)
	}
}

// Ten million entries, of a kind that leaves nothing on the disk by which one
// would notice.
func TestTenMillionEntries(t *testing.T) {
	const entries, allowed = 10_000_000, 1_000_000
	packed, made := generated(t, func(w *tar.Writer) error {
		for i := range entries {
			if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: fmt.Sprintf("l%x", uint32(i)*2654435761), Linkname: "/etc/passwd"}); err != nil {
				return err
			}
		}
		return nil
	})
	err := unpackStream(t, packed)
	if limit, ok := errors.AsType[*source.LimitError](err); !ok || limit.Max != allowed || limit.Unit != "files" {
		t.Errorf("error is %v", err)
	}
	if n := made(); n > 2*allowed*512 {
		t.Errorf("%d bytes were read until then", n)
	}
}
