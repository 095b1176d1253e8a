package workflow

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"time"
)

// dateTree gives what is in a tree times that depend on nothing else, so that a layer
// that copies the same files is the same one on every machine, and is sent once.
//
// The files of one folder have one time, so that none of them is older than what it
// was made of, which make would make again. It is another one after a change of any of
// them: web servers and browsers take a file of the same time and size for the same.
func dateTree(ctx context.Context, root *os.Root) error { return dateFolder(ctx, root, ".") }

func dateFolder(ctx context.Context, root *os.Root, folder string) error {
	entries, err := fs.ReadDir(root.FS(), folder)
	if err != nil {
		return err
	}
	sum, own := sha256.New(), []string{folder}
	for _, e := range entries {
		name := path.Join(folder, e.Name())
		if e.IsDir() {
			err = dateFolder(ctx, root, name)
		} else {
			own = append(own, name)
			err = addFile(sum, root, name)
		}
		if err != nil {
			return err
		}
	}
	at := dateOf(sum.Sum(nil))
	for _, name := range own {
		if err := root.Chtimes(name, at, at); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// addFile adds the name and the content of a file.
func addFile(to hash.Hash, root *os.Root, name string) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	fmt.Fprintf(to, "%q %d\n", path.Base(name), info.Size())
	_, err = io.Copy(to, f)
	return err
}

// Dates are from twenty years, all past. Archives of the ZIP format, which builds make
// too, know no time before 1980, and only every other second.
var firstDate = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

const (
	dateStep = 2 * time.Second
	dates    = 20 * 365 * 24 * time.Hour / dateStep
)

func dateOf(sum []byte) time.Time {
	return firstDate.Add(time.Duration(binary.BigEndian.Uint64(sum)%uint64(dates)) * dateStep)
}
