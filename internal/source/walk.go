package source

import (
	"archive/tar"
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/moby/patternmatcher"
)

// walker puts the entries of a tree on a queue, in lexical order within each folder. It holds the
// names of one folder for each level it is deep, and never those of the whole tree.
type walker struct {
	rules *rules
	queue *queue
	links Names // symbolic links sent
	left  Names // sockets, pipes and devices left out
}

// level is a folder on the way down from the top.
type level struct {
	folder *folder
	prefix string                   // what names in it begin with: "" at the top, else "a/b/"
	match  patternmatcher.MatchInfo // what the ignore rules need to know of it
}

// run walks the tree and ends the queue. An error is put as the last entry, so that the writer
// meets it in its place.
func (w *walker) run(ctx context.Context, top *folder) {
	defer w.queue.end()
	if err := w.walk(ctx, level{folder: top}); err != nil {
		_ = w.queue.put(ctx, &entry{err: err}) // fails only when ctx has ended, which the writer sees itself
	}
}

// walk puts what is in a folder.
func (w *walker) walk(ctx context.Context, in level) error {
	names, err := list(in.folder)
	if err != nil {
		return failed(cmp.Or(in.prefix, "."), err)
	}
	for _, base := range names {
		name := in.prefix + base
		ignored, match, err := w.rules.ignored(name, in.match)
		if err != nil {
			return failed(name, err)
		}
		if ignored && !w.rules.reachBelow(name) {
			continue
		}
		seen, err := in.folder.Lstat(base)
		if err != nil {
			return failed(name, err)
		}
		if seen.IsDir() {
			err = w.enter(ctx, in.folder, seen, level{prefix: name + "/", match: match}, !ignored)
		} else if !ignored {
			err = w.put(ctx, in.folder, seen, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// enter opens the folder seen in parent as the level in, and puts it, if it is to be sent, and what
// is in it.
func (w *walker) enter(ctx context.Context, parent *folder, seen fs.FileInfo, in level, send bool) error {
	root, err := parent.OpenRoot(seen.Name())
	if err != nil {
		return failed(in.prefix, err)
	}
	in.folder = &folder{Root: root}
	defer in.folder.hold().release()
	if send {
		h := &tar.Header{Typeflag: tar.TypeDir, Name: in.prefix, Mode: permissions(seen)}
		if err := w.queue.put(ctx, &entry{header: h}); err != nil {
			return err
		}
	}
	return w.walk(ctx, in)
}

// put puts what is no folder.
func (w *walker) put(ctx context.Context, parent *folder, seen fs.FileInfo, name string) error {
	h := &tar.Header{Name: name}
	switch seen.Mode().Type() {
	case 0:
		h.Typeflag, h.Mode = tar.TypeReg, permissions(seen)
		return w.queue.put(ctx, &entry{header: h, dir: parent.hold(), seen: seen, ready: make(chan struct{})})
	case fs.ModeSymlink:
		target, err := parent.Readlink(seen.Name())
		if err != nil {
			return failed(name, err)
		}
		w.links.add(name)
		h.Typeflag, h.Mode, h.Linkname = tar.TypeSymlink, linkMode, filepath.ToSlash(target)
		return w.queue.put(ctx, &entry{header: h})
	}
	w.left.add(name)
	return nil
}

// warn tells what the build will not have.
func (w *walker) warn(tell func(string)) {
	if tell == nil {
		return
	}
	if w.links.Count > 0 {
		tell(fmt.Sprintf("symbolic links are sent, but a Rack does not restore them: %v", w.links))
	}
	if w.left.Count > 0 {
		tell(fmt.Sprintf("sockets, pipes and devices are left out: %v", w.left))
	}
}

// list returns the sorted names in dir.
func list(dir *folder) ([]string, error) {
	f, err := dir.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

const (
	linkMode    = 0o777 // of every link: systems differ, and none uses it
	windowsMode = 0o755 // of every file and folder from Windows, so that scripts start
)

// permissions returns the mode for the archive. Of the mode only the permissions are sent.
func permissions(info fs.FileInfo) int64 {
	if runtime.GOOS == "windows" {
		return windowsMode
	}
	return int64(info.Mode().Perm())
}
