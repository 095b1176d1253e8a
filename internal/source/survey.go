package source

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
)

// Survey is what [Pack] sends of a folder.
type Survey struct {
	Stats
	Doubles Names  // further names of files that have several; sent as files of their own
	Biggest []Path // at most 10 files and folders, the biggest first
}

// Path is a file or folder of an archive and what it weighs.
type Path struct {
	Name  string `json:"path"`  // as in the archive: a folder's ends in a slash
	Bytes int64  `json:"bytes"` // of a folder: of all files below it, added up
}

// Look packs the folder dir as [Pack] does, sends it nowhere and tells what would have been sent.
// It reads the archive itself, so that it cannot disagree with Pack. Its errors are those of Pack;
// o.Warn is called as by Pack.
func Look(ctx context.Context, dir string, o Options) (Survey, error) {
	r, w := io.Pipe()
	var s Survey
	read := make(chan error, 1)
	go func() {
		err := s.read(r, dir)
		r.CloseWithError(err)
		read <- err
	}()
	stats, err := Pack(ctx, w, dir, o)
	w.CloseWithError(err)
	if readErr := <-read; err == nil {
		err = readErr
	}
	if err != nil {
		return Survey{}, err
	}
	s.Stats = stats
	return s, nil
}

// read reads an archive to its end. Of the files it looks up in dir how many names they have,
// which their entries do not say.
func (s *Survey) read(r io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open source folder: %w", err)
	}
	defer root.Close()
	zip, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	weights, known := newWeights(), map[identity]bool{}
	for in := tar.NewReader(zip); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read source archive: %w", err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		weights.add(h.Name, h.Size)
		info, err := root.Lstat(h.Name)
		if err != nil {
			continue // gone since it was packed
		}
		if id, several := identify(info); several && known[id] {
			s.Doubles.add(h.Name)
		} else if several {
			known[id] = true
		}
	}
	s.Biggest = weights.biggest()
	_, err = io.Copy(io.Discard, r) // what the compressor still writes; a pipe has no room for it
	return err
}
