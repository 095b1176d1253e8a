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
)

const (
	// keyFile has the key that all secrets of the rack are sealed with, as one
	// line of base64. Whoever copies the data without it gets no secret.
	keyFile = "key"

	// keySize is that of AES-256, in bytes.
	keySize = 32
)

// KeyError says why the secrets in the data cannot be read, or why the key to
// them is not trusted.
type KeyError struct {
	Path   string // of the key file
	Reason string
}

func (e *KeyError) Error() string { return e.Path + " " + e.Reason }

// readKey reads the key. The error is [fs.ErrNotExist] if there is none.
func readKey(path string) ([]byte, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &KeyError{path, "is not a regular file"}
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 { // Windows has no permission bits
		return nil, &KeyError{path, "can be read by others: make its mode 0600, and think of the key as known"}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != keySize {
		return nil, &KeyError{path, "does not hold a key"}
	}
	return key, nil
}

// makeKey makes a new key. It is whole and on the disk before it has its name: a
// record that is sealed with half a key is lost.
func makeKey(path string) ([]byte, error) {
	key := make([]byte, keySize)
	rand.Read(key) // never fails
	partial := path + ".new"
	if err := os.Remove(partial); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := os.OpenFile(partial, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	if err := os.Rename(partial, path); err != nil {
		return nil, err
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
	return hkdf.Key(sha256.New, s.key, nil, purpose, keySize)
}
