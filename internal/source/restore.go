package source

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

const (
	// maxName is the bytes of one name, which no system opens when it is longer. Without it one
	// entry could make a million folders.
	maxName = 4096

	// copySize is the bytes written to a file at once.
	copySize = 64 << 10

	// ownerAll is what a folder needs so that files can be put in it.
	ownerAll = 0o700

	// parentMode is that of folders that have no entry of their own.
	parentMode = 0o755

	// newMode is that of a file while it is written.
	newMode = 0o600
)

// unpacker is one archive while it is unpacked.
type unpacker struct {
	root    *os.Root
	limits  Limits
	entries int
	buffer  []byte
	done    Unpacked
}

// entry restores one entry.
func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil // a comment, as git archive writes it
	}
	if err := u.count(); err != nil {
		return err
	}
	name, err := local(h.Name)
	if err != nil {
		return err
	}
	mode := fs.FileMode(h.Mode) & fs.ModePerm
	switch h.Typeflag {
	case tar.TypeDir:
		return u.folder(name, mode)
	case tar.TypeReg:
		return u.file(name, mode, h.Size, content)
	}
	u.done.Skipped.add(h.Name)
	return nil
}

// count counts one more file or folder.
func (u *unpacker) count() error {
	if u.entries++; u.entries > u.limits.Files {
		return &LimitError{Max: int64(u.limits.Files), Unit: "files"}
	}
	return nil
}

// local checks the name of an entry and cleans it.
func local(name string) (string, error) {
	if len(name) > maxName {
		return "", &LimitError{Max: maxName, Unit: "bytes in a name"}
	}
	clean := path.Clean(name)
	if slices.Contains(strings.Split(name, "/"), "..") || !filepath.IsLocal(filepath.FromSlash(clean)) {
		return "", ErrEscape
	}
	return clean, nil
}

// folder makes a folder, or sets the mode of one that is there. The top keeps its own.
func (u *unpacker) folder(name string, mode fs.FileMode) error {
	if name == "." {
		return nil
	}
	err := u.root.Mkdir(name, parentMode)
	if errors.Is(err, fs.ErrNotExist) {
		if err = u.parents(name); err == nil {
			err = u.root.Mkdir(name, parentMode)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		var info fs.FileInfo
		if info, err = u.root.Lstat(name); err == nil && !info.IsDir() {
			err = syscall.ENOTDIR
		}
	}
	if err != nil {
		return reason(err)
	}
	return reason(u.root.Chmod(name, mode|ownerAll))
}

// parents makes the folders that name is in.
func (u *unpacker) parents(name string) error {
	for i, c := range name {
		if c != '/' {
			continue
		}
		err := u.root.Mkdir(name[:i], parentMode)
		if err == nil {
			err = u.count()
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// file writes a regular file. The size is that of the header, which counts the holes of a sparse
// file that take no room in the stream.
func (u *unpacker) file(name string, mode fs.FileMode, size int64, content io.Reader) error {
	if size > u.limits.Bytes-u.done.Bytes {
		return &LimitError{Max: u.limits.Bytes, Unit: "bytes"}
	}
	f, err := u.create(name)
	if err != nil {
		return reason(err)
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{f}, content, u.buffer) // bare, or f would bring a buffer of its own
	u.done.Bytes += n
	if err == nil {
		err = f.Chmod(mode)
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return reason(err)
	}
	u.done.Files++
	return nil
}

// create makes an empty file. What is there under the name is removed and not written through,
// since it may be read-only, or a link that was in the folder before.
func (u *unpacker) create(name string) (*os.File, error) {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	f, err := u.root.OpenFile(name, flags, newMode)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = u.parents(name)
	case errors.Is(err, fs.ErrExist):
		err = u.root.Remove(name)
	default:
		return f, err
	}
	if err != nil {
		return nil, err
	}
	return u.root.OpenFile(name, flags, newMode)
}

// reason drops the operation and the path from an error of the disk: the entry is named already.
func reason(err error) error {
	var inner *fs.PathError
	if errors.As(err, &inner) {
		return inner.Err
	}
	return err
}
