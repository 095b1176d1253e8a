package container

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// Sweep ends the containers that an engine on the same root could not end
// because its process was killed, and removes what else it left half done. No
// engine may be at work on the root.
func Sweep(root string) error {
	e := New(root, nil)
	containers, err := os.ReadDir(filepath.Join(root, "containers"))
	if errors.Is(err, os.ErrNotExist) { // then there was no engine
		return nil
	}
	for _, c := range containers {
		err = errors.Join(err, e.discard(c.Name()))
	}
	err = errors.Join(err, os.RemoveAll(filepath.Join(root, "calls")))
	trees, _ := os.ReadDir(filepath.Join(root, "images")) // there need be none
	for _, t := range trees {
		if strings.HasPrefix(t.Name(), unpackPrefix) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(root, "images", t.Name())))
		}
	}
	return err
}
