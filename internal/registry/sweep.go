package registry

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// release has the blobs removed that no link leads to any more, at once or as
// soon as nobody pushes.
func (s *Storage) release() error {
	s.mu.Lock()
	s.unswept = true
	s.mu.Unlock()
	return s.sweep()
}

// sweep removes blobs that no repository has a link to, if there may be such. A
// blob is there before the link to it, so nothing may be pushed meanwhile; but a
// push may take as long as its client likes, and is not waited for.
func (s *Storage) sweep() error {
	s.mu.Lock()
	needed := s.unswept
	s.mu.Unlock()
	if !needed || !s.pushing.TryLock() {
		return nil
	}
	defer s.pushing.Unlock()
	err := s.removeBlobs()
	s.mu.Lock()
	s.unswept = err != nil
	s.mu.Unlock()
	return err
}

func (s *Storage) removeBlobs() error {
	links, err := linksBelow(filepath.Join(s.root, "repositories"))
	if err != nil {
		return err
	}
	linked := map[string]bool{}
	for _, l := range links {
		linked[s.blob(l.digest)] = true
	}
	return filepath.WalkDir(filepath.Join(s.root, "blobs"), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		dir := filepath.Dir(path)
		if err != nil || d.IsDir() || d.Name() != "data" || linked[dir] {
			return err
		}
		return os.RemoveAll(dir)
	})
}
