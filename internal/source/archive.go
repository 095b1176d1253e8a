package source

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
)

// archive is the tar stream while it is written.
type archive struct {
	tar   *tar.Writer
	stats Stats
}

// addAll stores the entries of q in their order.
func (a *archive) addAll(ctx context.Context, q *queue) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case e, more := <-q.entries:
			if !more {
				return nil
			}
			err := e.wait(ctx)
			if err == nil {
				err = a.add(e)
			}
			q.finish(e)
			if err != nil {
				return err
			}
		}
	}
}

// add stores one entry whose first bytes have been read.
func (a *archive) add(e *entry) error {
	if err := a.tar.WriteHeader(e.header); err != nil {
		return fmt.Errorf("write source archive: %q: %w", e.header.Name, err)
	}
	if e.header.Typeflag != tar.TypeReg {
		return nil
	}
	if _, err := a.tar.Write(e.head); err != nil {
		return fmt.Errorf("write source archive: %w", err)
	}
	if e.file != nil {
		if err := a.stream(e); err != nil {
			return err
		}
	}
	a.stats.Files++
	a.stats.Bytes += e.header.Size
	return nil
}

// stream stores what follows the first bytes of a large file.
func (a *archive) stream(e *entry) error {
	left := e.header.Size - int64(len(e.head))
	for {
		n, err := e.file.Read(e.buffer)
		if left -= int64(n); left < 0 {
			return failed(e.header.Name, ErrChanged)
		}
		if _, err := a.tar.Write(e.buffer[:n]); err != nil {
			return fmt.Errorf("write source archive: %w", err)
		}
		switch {
		case errors.Is(err, io.EOF) && left == 0:
			return nil
		case errors.Is(err, io.EOF):
			return failed(e.header.Name, ErrChanged)
		case err != nil:
			return failed(e.header.Name, err)
		}
	}
}
