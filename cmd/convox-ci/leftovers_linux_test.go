package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// removeLeftovers removes what a killed rack could not: the containers of its
// build steps and their file systems, below a directory.
func removeLeftovers(dir string) error {
	out, err := exec.Command("runc", "list", "--format", "json").Output()
	if err != nil {
		return fmt.Errorf("runc list: %w", err)
	}
	var containers []struct{ ID, Bundle string }
	if err := json.Unmarshal(out, &containers); err != nil {
		return fmt.Errorf("runc list: %w", err)
	}
	for _, c := range containers {
		if strings.HasPrefix(c.Bundle, dir+"/") {
			err = errors.Join(err, exec.Command("runc", "delete", "--force", c.ID).Run())
		}
	}
	return errors.Join(err, unmount(dir))
}

func unmount(dir string) error {
	mounts, err := os.Open("/proc/self/mounts")
	if err != nil {
		return err
	}
	defer mounts.Close()
	lines := bufio.NewScanner(mounts)
	for lines.Scan() {
		if at := strings.Fields(lines.Text())[1]; strings.HasPrefix(at, dir+"/") {
			err = errors.Join(err, syscall.Unmount(at, syscall.MNT_DETACH))
		}
	}
	return errors.Join(err, lines.Err())
}
