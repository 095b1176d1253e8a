package source

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"
)

const (
	// readers open and read files at once. A disk that is asked four things at a time is half
	// as fast again as with one; more bring nothing.
	readers = 4

	// headSize is the bytes of a file read ahead. Nearly all source files fit whole; of a larger
	// one the rest is read when it is written, where the system reads ahead by itself.
	headSize = 64 << 10

	// heads is the number of files read ahead, so that read-ahead takes at most heads*headSize = 2
	// MiB.
	heads = 32

	// queued is the number of entries walked ahead. Each may hold one open folder.
	queued = 128
)

// folder is an open folder of the tree, closed when neither the walk nor an entry uses it.
type folder struct {
	*os.Root
	users atomic.Int32
}

func (f *folder) hold() *folder {
	f.users.Add(1)
	return f
}

func (f *folder) release() {
	if f.users.Add(-1) == 0 {
		f.Close()
	}
}

// entry is one entry of the archive on its way from the walk to the writer.
type entry struct {
	header *tar.Header // Size is set when the file is open
	err    error       // in place of everything else; ends the archive here

	// Of regular files only:
	dir    *folder       // the folder it is in
	seen   fs.FileInfo   // what the walk saw; another file under this name is a change
	ready  chan struct{} // closed when the rest is set
	buffer []byte        // whole buffer, headSize bytes
	head   []byte        // first bytes of the content, in buffer
	file   *os.File      // the open file when there may be more than head, else nil
}

// wait returns when e can be stored, or with the reason why it cannot.
func (e *entry) wait(ctx context.Context) error {
	if e.ready != nil {
		select {
		case <-e.ready:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return e.err
}

// open opens e's file and reads its first bytes into buffer.
func (e *entry) open(buffer []byte) error {
	// A file may be swapped for a pipe after the walk saw it: without O_NONBLOCK, opening it would
	// wait for ever.
	f, err := e.dir.OpenFile(e.seen.Name(), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	e.file = f
	now, err := f.Stat()
	if err != nil {
		return err
	}
	if !now.Mode().IsRegular() || !os.SameFile(e.seen, now) {
		return ErrChanged
	}
	e.header.Size = now.Size()
	n, whole, err := readHead(f, buffer, now.Size())
	if err != nil {
		return err
	}
	e.head = buffer[:n]
	if whole {
		e.file = nil
		return f.Close()
	}
	return nil
}

// readHead fills buffer from a file of the given size. Whole is false when the file goes on.
func readHead(r io.Reader, buffer []byte, size int64) (n int, whole bool, err error) {
	n, err = io.ReadFull(r, buffer)
	whole = errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	switch {
	case err != nil && !whole:
		return n, false, err
	case int64(n) > size, whole && int64(n) < size:
		return n, false, ErrChanged
	}
	return n, whole, nil
}

// queue hands entries from the walk to the writer in the order of the walk, while readers open and
// read their files. Its channels bound what is held: a reader takes a buffer first and then the
// oldest file, so the file that the writer waits for always has one.
type queue struct {
	entries chan *entry
	files   chan *entry // the regular files among entries
	buffers chan []byte
}

func newQueue() *queue {
	q := &queue{
		entries: make(chan *entry, queued),
		files:   make(chan *entry, queued),
		buffers: make(chan []byte, heads),
	}
	for range heads {
		q.buffers <- nil // made when first used: most trees are small
	}
	return q
}

// put appends e.
func (q *queue) put(ctx context.Context, e *entry) error {
	select {
	case q.entries <- e:
	case <-ctx.Done():
		q.finish(e)
		return context.Cause(ctx)
	}
	if e.ready == nil {
		return nil
	}
	select {
	case q.files <- e:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// end says that no entry follows.
func (q *queue) end() {
	close(q.entries)
	close(q.files)
}

// read opens and reads files until the queue ends.
func (q *queue) read(ctx context.Context) {
	for {
		var buffer []byte
		select {
		case buffer = <-q.buffers:
		case <-ctx.Done():
			return
		}
		select {
		case e, more := <-q.files:
			if !more {
				return
			}
			if buffer == nil {
				buffer = make([]byte, headSize)
			}
			e.buffer = buffer
			if err := e.open(buffer); err != nil {
				e.err = failed(e.header.Name, err)
			}
			close(e.ready)
		case <-ctx.Done():
			return
		}
	}
}

// finish gives back what e holds.
func (q *queue) finish(e *entry) {
	if e.file != nil {
		e.file.Close() // only read from: closing loses nothing
	}
	if e.dir != nil {
		e.dir.release()
	}
	if e.buffer != nil {
		q.buffers <- e.buffer
	}
}

// drain finishes what a failure left behind, after all goroutines have ended.
func (q *queue) drain() {
	for e := range q.entries {
		q.finish(e)
	}
}

// failed says which file an error is about. The name is quoted, because it may hold line breaks.
func failed(name string, err error) error {
	var inner *fs.PathError
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return fmt.Errorf("pack %q: %w", name, err)
}
