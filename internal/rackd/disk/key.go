package disk

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/convox-ci/convox-ci/internal/rackd/vault"
)

// keyFile has the key that all secrets of the rack are sealed with, as one line of
// base64. Whoever copies the data without it gets no secret.
const keyFile = "key"

// KeyError says why the secrets in the data cannot be read, or why the key to
// them is not trusted.
type KeyError struct {
	Path   string // of the key file
	Reason string
}

func (e *KeyError) Error() string { return e.Path + " " + e.Reason }

// readKey reads the key. The error is [fs.ErrNotExist] if there is none.
func readKey(path string) (none vault.Key, err error) {
	info, err := os.Lstat(path)
	if err != nil {
		return none, err
	}
	if !info.Mode().IsRegular() {
		return none, &KeyError{path, "is not a regular file"}
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 { // Windows has no permission bits
		return none, &KeyError{path, "can be read by others: make its mode 0600, and think of the key as known"}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return none, err
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != vault.KeySize {
		return none, &KeyError{path, "does not hold a key"}
	}
	return vault.Key(key), nil
}

// makeKey makes a new key. It is whole and on the disk before it has its name: a
// record that is sealed with half a key is lost.
func makeKey(path string) (key vault.Key, err error) {
	rand.Read(key[:]) // never fails
	partial := path + ".new"
	if err := os.Remove(partial); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	f, err := os.OpenFile(partial, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return key, err
	}
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(key[:]) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return key, err
	}
	if err := os.Rename(partial, path); err != nil {
		return key, err
	}
	return key, syncPath(filepath.Dir(path))
}

// syncPath makes new names in a directory survive a loss of power.
func syncPath(dir string) error {
	if runtime.GOOS == "windows" { // which cannot do it
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Secret is a key of 32 bytes for another purpose, as long as the data lasts the
// same for the same purpose. It tells nothing about others.
func (s *Store) Secret(purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, s.key[:], nil, purpose, vault.KeySize)
}
