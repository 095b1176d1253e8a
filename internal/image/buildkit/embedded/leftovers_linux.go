package embedded

import (
	"encoding/json"
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
	containers, err := containersBelow(root)
	for _, id := range containers {
		if out, failed := exec.Command("runc", "delete", "--force", id).CombinedOutput(); failed != nil {
			err = errors.Join(err, fmt.Errorf("runc delete %s: %s", id, strings.TrimSpace(string(out))))
		}
	}
	return errors.Join(err, unmountBelow(root))
}

// containersBelow lists the containers whose bundle is below a directory. A
// machine without runc has none.
func containersBelow(root string) ([]string, error) {
	runc, err := exec.LookPath("runc")
	if err != nil {
		return nil, nil
	}
	out, err := exec.Command(runc, "list", "--format", "json").Output()
	if err != nil {
		return nil, fmt.Errorf("runc list: %w", err)
	}
	var all []struct{ ID, Bundle string }
	if err := json.Unmarshal(out, &all); err != nil {
		return nil, fmt.Errorf("runc list: %w", err)
	}
	var ids []string
	for _, c := range all {
		if strings.HasPrefix(c.Bundle, root+string(filepath.Separator)) {
			ids = append(ids, c.ID)
		}
	}
	return ids, nil
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
