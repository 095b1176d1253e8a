// Package source turns a folder into the archive that a Rack takes as the source of a build, and
// such an archive back into a folder.
//
// The archive is a gzip stream around a tar stream. [Pack] writes it in constant memory while it
// reads ahead on the disk; [Unpack] restores it inside an [os.Root] and within limits.
package source

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// ErrChanged is the kind of the error for a file that grew, shrank or was replaced while it was
// packed. Nothing is ever cut short silently, because the build would then run on other sources
// than those on the disk.
var ErrChanged = errors.New("changed while it was packed")

// Options say how [Pack] reads a tree. The zero value is a tree with nothing kept and nobody
// warned.
type Options struct {
	// Keep names files that are sent even when ignore rules match them, as Docker always sends its
	// Dockerfile. The names are relative to the folder, with slashes; one that does not exist is no
	// error.
	Keep []string

	// Warn is called at the end of a successful Pack, on the goroutine of the caller: at most once
	// about symbolic links and at most once about files that cannot be sent. File names in the text
	// are quoted. Nil means that nobody is told.
	Warn func(text string)
}

// Stats is what an archive holds.
type Stats struct {
	Files  int   // regular files
	Bytes  int64 // their sizes added up
	Packed int64 // bytes of the archive
}

// Pack writes the folder dir to w as a gzipped tar stream, without what its .dockerignore leaves
// out (https://docs.docker.com/build/concepts/context/#dockerignore-files). A dir that is a
// symbolic link is followed; links inside the tree are stored as links and never followed. Equal
// trees give equal bytes: entries are in lexical order, and hold a name, permission bits and
// content, but neither owner nor time, since a Rack restores neither. From Windows, which has no
// permission bits, every entry is sent as 0755, as Docker does.
//
// Hard links become files of their own, because a Rack restores files and folders only. Empty
// folders are stored; sockets, pipes and devices are left out.
//
// Errors are [fs.ErrNotExist] for a missing dir or a file that vanished, [ErrChanged] for a file
// that changed, the error of w, or the cause of ctx. Those about a file name it. After an error, w
// holds a part of an archive without its end. Pack returns only when a Write to w that has begun
// returns, and then writes no more.
func Pack(ctx context.Context, w io.Writer, dir string, o Options) (Stats, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Stats{}, fmt.Errorf("open source folder: %w", err)
	}
	top := &folder{Root: root}
	defer top.hold().release()
	r, err := readRules(dir, o.Keep)
	if err != nil {
		return Stats{}, err
	}
	inner, stop := context.WithCancel(ctx)
	defer stop()
	q := newQueue()
	wk := &walker{rules: r, queue: q}
	var work sync.WaitGroup
	work.Go(func() { wk.run(inner, top) })
	for range readers {
		work.Go(func() { q.read(inner) })
	}
	stats, err := write(inner, w, q)
	stop()
	work.Wait()
	q.drain()
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx) // what follows from it, such as a closed pipe, is noise
		}
		return Stats{}, err
	}
	wk.warn(o.Warn)
	return stats, nil
}

// write makes the archive from what arrives on the queue, until the queue ends.
func write(ctx context.Context, w io.Writer, q *queue) (Stats, error) {
	z := newZipper(ctx, w)
	a := &archive{tar: tar.NewWriter(z)}
	err := a.addAll(ctx, q)
	if err == nil {
		err = a.tar.Close()
	}
	if err = z.end(err); err != nil {
		return Stats{}, err
	}
	a.stats.Packed = z.packed
	return a.stats, nil
}
