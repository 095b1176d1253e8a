//go:build unix

package source

import (
	"io/fs"
	"syscall"
)

// identity is what all names of one file have in common.
type identity struct{ device, inode uint64 }

// identify returns a file's identity, and whether it has several names.
func identify(info fs.FileInfo) (id identity, several bool) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok || s.Nlink < 2 {
		return identity{}, false
	}
	return identity{uint64(s.Dev), uint64(s.Ino)}, true
}
