package container

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

const (
	// maxCopied bounds what one archive may leave in a container, in bytes: what
	// the source of a build may be. A sparse file has far more than its archive.
	maxCopied = 8 << 30

	// maxEntries bounds the entries of one archive: those of a source.
	maxEntries = 1_000_000

	// maxRaces is how often a name is looked up again that was renamed meanwhile:
	// only a program that does nothing else keeps it up so long.
	maxRaces = 100
)

// inside is the file system of a container. Programs may run in it and rename
// what is looked at, so every path is resolved by the kernel with the container's
// root as its end, and what it gives is held by its descriptor.
type inside struct {
	root *os.File
	user specs.User // whom new files belong to
}

// enter opens the file system of a container.
func (e *Engine) enter(id string) (*inside, error) {
	c := e.find(id)
	if c == nil {
		return nil, fmt.Errorf("container %s: %w", id, fs.ErrNotExist)
	}
	root, err := os.Open(c.merged())
	if err != nil {
		return nil, err
	}
	return &inside{root, c.user}, nil
}

func (in *inside) close() { in.root.Close() }

// open opens a path as the container's programs would, links to absolute paths
// included; see https://man7.org/linux/man-pages/man2/openat2.2.html.
func (in *inside) open(name string, flags uint64) (*os.File, error) {
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	err := error(unix.EAGAIN)
	for n := 0; n < maxRaces && (errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)); n++ {
		var fd int
		if fd, err = unix.Openat2(int(in.root.Fd()), name, &how); err == nil {
			return os.NewFile(uintptr(fd), name), nil
		}
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: err}
}

// viaProc is a descriptor as a path, for calls that know only paths.
func viaProc(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

// folder opens a directory to change what is right in it.
func (in *inside) folder(name string) (*os.Root, error) {
	f, err := in.open(name, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return os.OpenRoot(viaProc(f))
}

// makeFolder opens a directory, made with those above it if it is missing.
func (in *inside) makeFolder(name string) (*os.Root, error) {
	found, err := in.folder(name)
	if !errors.Is(err, fs.ErrNotExist) || name == "/" {
		return found, err
	}
	above, err := in.makeFolder(path.Dir(name))
	if err != nil {
		return nil, err
	}
	defer above.Close()
	if err := in.mkdir(above, path.Base(name), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return in.folder(name)
}

func (in *inside) mkdir(above *os.Root, name string, mode fs.FileMode) error {
	if err := above.Mkdir(name, mode); err != nil {
		return err
	}
	return in.give(above, name)
}

// give makes a new file one of the user that the commands of the image are run by.
func (in *inside) give(above *os.Root, name string) error {
	return above.Lchown(name, int(in.user.UID), int(in.user.GID))
}

// Unpack puts the files of a tar stream into a container, from its root, each in
// the place of what is there, with the folders above them. They belong to the user
// that commands are run by, whatever the archive says. Neither names nor links lead
// out of the container. Devices and the like are an error.
func (e *Engine) Unpack(id string, r io.Reader) error {
	in, err := e.enter(id)
	if err != nil {
		return err
	}
	defer in.close()
	return in.unpack(r)
}

func (in *inside) unpack(r io.Reader) error {
	archive, left := tar.NewReader(r), int64(maxCopied)
	for range maxEntries {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the archive: %w", err)
		}
		if left -= h.Size; left < 0 {
			return fmt.Errorf("the archive has more than %d bytes", int64(maxCopied))
		}
		if err := in.restore(h, archive); err != nil {
			return fmt.Errorf("unpack %q: %w", h.Name, err)
		}
	}
	return fmt.Errorf("the archive has more than %d entries", maxEntries)
}

// restore puts one entry where its name says.
func (in *inside) restore(h *tar.Header, content io.Reader) error {
	name := path.Clean("/" + h.Name)
	if name == "/" || h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	above, err := in.makeFolder(path.Dir(name))
	if err != nil {
		return err
	}
	defer above.Close()
	base, mode := path.Base(name), h.FileInfo().Mode().Perm()
	if h.Typeflag == tar.TypeDir {
		if d, err := in.folder(name); err == nil {
			return d.Close() // it stays as it is
		}
		return in.mkdir(above, base, mode)
	}
	if h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeSymlink && h.Typeflag != tar.TypeLink {
		return errors.New("neither a file, a folder nor a link")
	}
	if err := above.Remove(base); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	switch h.Typeflag {
	case tar.TypeSymlink:
		err = above.Symlink(h.Linkname, base)
	case tar.TypeLink:
		return in.link(h.Linkname, above, base)
	default:
		err = write(above, base, mode, content)
	}
	if err != nil {
		return err
	}
	return in.give(above, base)
}

// write makes a new file.
func write(above *os.Root, base string, mode fs.FileMode, content io.Reader) error {
	f, err := above.OpenFile(base, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Chmod(mode), f.Close())
}

// link gives a file of the container a second name.
func (in *inside) link(target string, above *os.Root, base string) error {
	f, err := in.open(path.Clean("/"+target), unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	defer f.Close()
	to, err := above.Open(".")
	if err != nil {
		return err
	}
	defer to.Close()
	return unix.Linkat(unix.AT_FDCWD, viaProc(f), int(to.Fd()), base, unix.AT_SYMLINK_FOLLOW)
}

// Delete removes files of a container, and folders with all below them. It does
// nothing about those that are not there.
func (e *Engine) Delete(id string, names []string) error {
	in, err := e.enter(id)
	if err != nil {
		return err
	}
	defer in.close()
	for _, name := range names {
		name = path.Clean("/" + name)
		if name == "/" {
			return errors.New("the root of a container cannot be removed")
		}
		above, err := in.folder(path.Dir(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := errors.Join(above.RemoveAll(path.Base(name)), above.Close()); err != nil {
			return err
		}
	}
	return nil
}
