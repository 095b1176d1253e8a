package disk

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/url"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

var _ rackd.Objects = (*Store)(nil)

// maxName is the longest file name that the usual file systems take, in bytes.
const maxName = 255

// objectFile is where an object is, below the objects' root. A key is one file
// name whatever it holds, so that one key never is the folder of another; the
// letter in front keeps it from being . or .. or hidden. A key too long for a
// name goes by its hash.
func objectFile(app, key string) string {
	name := "o-" + url.QueryEscape(key)
	if len(name) > maxName {
		sum := sha256.Sum256([]byte(key))
		name = "h-" + hex.EncodeToString(sum[:])
	}
	return path.Join(app, name)
}

// partialDir has the objects that are being written; the name is no app's.
const partialDir = ".partial"

// PutObject implements [rackd.Objects]. The bytes go to a file of their own
// that takes the object's place once it is whole and on the disk.
func (s *Store) PutObject(_ context.Context, app, key string, r io.Reader) (err error) {
	if err := s.makeDir(app); err != nil {
		return err
	}
	partial := path.Join(partialDir, rand.Text())
	defer func() {
		if err != nil {
			s.objects.Remove(partial)
		}
	}()
	f, err := s.objects.OpenFile(partial, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := s.objects.Rename(partial, objectFile(app, key)); err != nil {
		return err
	}
	return s.syncDir(app)
}

// makeDir makes the directory of an app's objects, if it is missing.
func (s *Store) makeDir(app string) error {
	err := s.objects.Mkdir(app, 0o700)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.syncDir(".")
}

// syncDir makes what was added to a directory survive a loss of power.
func (s *Store) syncDir(name string) error {
	d, err := s.objects.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	if runtime.GOOS == "windows" { // which cannot do it
		return nil
	}
	return d.Sync()
}

// OpenObject implements [rackd.Objects].
func (s *Store) OpenObject(_ context.Context, app, key string) (io.ReadCloser, error) {
	f, err := s.objects.Open(objectFile(app, key))
	if errors.Is(err, os.ErrNotExist) {
		return nil, rack.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// keys lists the keys of an app that begin with prefix and are not too long for a
// file name.
func (s *Store) keys(app, prefix string) ([]string, error) {
	dir, err := s.objects.Open(app)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	files, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, file := range files {
		name, whole := strings.CutPrefix(file, "o-")
		key, err := url.QueryUnescape(name)
		if whole && err == nil && strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// ListObjects implements [rackd.Objects]. Of keys that were too long for a file
// name only the hashes are known: they are left out.
func (s *Store) ListObjects(_ context.Context, app, prefix string) ([]string, error) {
	all, err := s.keys(app, prefix)
	all = slices.DeleteFunc(all, func(key string) bool { return strings.Contains(key[len(prefix):], "/") })
	slices.Sort(all)
	return all, err
}

// RemoveObject implements [rackd.Objects].
func (s *Store) RemoveObject(_ context.Context, app, key string) error {
	err := s.objects.Remove(objectFile(app, key))
	if errors.Is(err, os.ErrNotExist) {
		return rack.ErrNotFound
	}
	return err
}

// RemoveObjects implements [rackd.Objects].
func (s *Store) RemoveObjects(_ context.Context, app string) error {
	if app == "" || app == "." || app == partialDir { // names that no app has
		return nil
	}
	return errors.Join(s.objects.RemoveAll(app), s.syncDir("."))
}
