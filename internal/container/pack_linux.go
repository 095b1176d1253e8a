package container

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Pack writes a file of a container, or a folder with all below it, as a tar
// stream whose names are those in the container without the slash in front. What
// a link at the end of the name leads to is packed; links below stay links; devices
// and the like are left out. The error is [fs.ErrNotExist] if there is no such file;
// then nothing was written.
func (e *Engine) Pack(id, name string, w io.Writer) error {
	in, err := e.enter(id)
	if err != nil {
		return err
	}
	defer in.close()
	name = path.Clean("/" + name)
	f, err := in.open(name, unix.O_PATH)
	if err != nil {
		return err
	}
	defer f.Close()
	archive := tar.NewWriter(w)
	if err := pack(archive, f, strings.TrimPrefix(name, "/")); err != nil {
		return err
	}
	return archive.Close()
}

// pack adds what a descriptor of a path is, under a name.
func pack(archive *tar.Writer, f *os.File, name string) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	target := ""
	if info.Mode().Type() == fs.ModeSymlink {
		if target, err = readlink(f); err != nil {
			return err
		}
	}
	if t := info.Mode().Type(); t != 0 && t != fs.ModeDir && t != fs.ModeSymlink {
		return nil // to open a device would do what it does
	}
	h, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	if h.Name = name; info.IsDir() {
		h.Name += "/"
	}
	h.Uname, h.Gname = "", "" // they would be those of this machine
	if h.Name != "/" {
		if err := archive.WriteHeader(h); err != nil {
			return err
		}
	}
	switch {
	case info.IsDir():
		return packFolder(archive, f, name)
	case info.Mode().IsRegular():
		return packFile(archive, f, h.Size)
	}
	return nil
}

// readlink reads a link that a descriptor stands for.
func readlink(f *os.File) (string, error) {
	p := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(f.Fd()), "", p)
	if err != nil {
		return "", err
	}
	return string(p[:n]), nil
}

// packFile adds the bytes of a file, as many as it had when it was looked at.
func packFile(archive *tar.Writer, f *os.File, size int64) error {
	content, err := os.Open(viaProc(f))
	if err != nil {
		return err
	}
	defer content.Close()
	if _, err = io.CopyN(archive, content, size); errors.Is(err, io.EOF) {
		err = errors.New("the file became shorter while it was read")
	}
	return err
}

// packFolder adds what is below a folder.
func packFolder(archive *tar.Writer, f *os.File, name string) error {
	d, err := os.Open(viaProc(f))
	if err != nil {
		return err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, base := range names {
		fd, err := unix.Openat(int(d.Fd()), base, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.ENOENT) {
			continue // it was removed meanwhile
		}
		if err != nil {
			return err
		}
		below := os.NewFile(uintptr(fd), base)
		err = pack(archive, below, path.Join(name, base))
		below.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
