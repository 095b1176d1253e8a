package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// lock keeps other daemons out of a root, which would wait for its databases for
// ever. The lock ends with the process at the latest.
func lock(root string) (unlock func() error, err error) {
	f, err := os.OpenFile(filepath.Join(root, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrBusy
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil
}
