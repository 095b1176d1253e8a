package embedded

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Sweep ends the build steps that a daemon on the same root could not end
// because it was killed: their processes would run on, and their file systems
// stay mounted. No daemon may be running on the root.
func Sweep(root string) error {
	if os.Geteuid() != 0 { // then there was no daemon
		return nil
	}
	configs, err := filepath.Glob(filepath.Join(root, "runc-*", "executor", "*", "config.json"))
	for _, config := range configs {
		err = errors.Join(err, discard(filepath.Base(filepath.Dir(config))))
	}
	if err = errors.Join(err, unmountBelow(root)); err != nil {
		return err
	}
	for _, config := range configs {
		bundle := filepath.Dir(config)
		for _, left := range []string{config, filepath.Join(bundle, "rootfs"), bundle} {
			os.Remove(left) // and nothing in them: what is not done now is no more than room
		}
	}
	return nil
}

// discard ends a container, if there is one. It is asked for by its name, which is
// that of its bundle: a list of all that runc has fails when one of them ends
// meanwhile, whoever it belongs to.
func discard(id string) error {
	runc, err := exec.LookPath("runc")
	if err != nil {
		return nil // so there was no container
	}
	if out, err := exec.Command(runc, "delete", "--force", id).CombinedOutput(); err != nil {
		return fmt.Errorf("runc delete %s: %s", id, strings.TrimSpace(string(out)))
	}
	return nil
}

// unmountBelow detaches what is mounted below a directory, the latest first.
func unmountBelow(root string) error {
	table, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	for _, line := range slices.Backward(strings.Split(string(table), "\n")) {
		fields := strings.Fields(line)
		if len(fields) < 2 || !strings.HasPrefix(fields[1], root+string(filepath.Separator)) {
			continue
		}
		if failed := unix.Unmount(fields[1], unix.MNT_DETACH); failed != nil {
			err = errors.Join(err, fmt.Errorf("unmount %s: %w", fields[1], failed))
		}
	}
	return err
}
