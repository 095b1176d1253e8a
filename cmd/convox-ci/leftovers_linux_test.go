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

// leftovers lists the containers of build steps below a directory.
func leftovers(dir string) ([]string, error) {
	var out []byte
	err := errors.New("not asked")
	for range 100 { // a list fails if a container of anybody ends meanwhile
		if out, err = exec.Command("runc", "list", "--format", "json").Output(); err == nil {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("runc list: %w", err)
	}
	var containers []struct{ ID, Bundle string }
	if err := json.Unmarshal(out, &containers); err != nil {
		return nil, fmt.Errorf("runc list: %w", err)
	}
	var ids []string
	for _, c := range containers {
		if strings.HasPrefix(c.Bundle, dir+"/") {
			ids = append(ids, c.ID)
		}
	}
	return ids, nil
}

// removeLeftovers removes what a killed rack could not, and no rack after it
// has: the containers of its build steps and their file systems.
func removeLeftovers(dir string) error {
	ids, err := leftovers(dir)
	for _, id := range ids {
		err = errors.Join(err, exec.Command("runc", "delete", "--force", id).Run())
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
