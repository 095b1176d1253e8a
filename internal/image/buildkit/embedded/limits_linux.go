package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/convox-ci/convox-ci/internal/image"
)

// kernelGroups is where the kernel takes limits of groups of processes:
// https://docs.kernel.org/admin-guide/cgroup-v2.html, and cgroup-v1 on machines
// that have the former one.
const kernelGroups = "/sys/fs/cgroup"

// limiter knows which limits this machine can hold: runc refuses to start a step
// with any other.
type limiter struct {
	memory, swap, cpu error // why not
	missed            func()
}

func newLimiter(groups string, notice func(string)) *limiter {
	l := &limiter{memory: limitable(groups, "memory"), cpu: limitable(groups, "cpu"), swap: swappable(groups)}
	l.missed = sync.OnceFunc(func() {
		if notice != nil {
			notice(fmt.Sprintf("Not all limits of build steps can be held on this machine: %v", errors.Join(l.memory, l.cpu)))
		}
	})
	return l
}

// held is what of limits can be held.
func (l *limiter) held(asked image.Limits) image.Limits {
	can := asked
	if l.memory != nil {
		can.Memory = 0
	}
	if l.cpu != nil {
		can.CPU = 0
	}
	if can != asked {
		l.missed()
	}
	if l.swap == nil {
		can.Swap = can.Memory
	}
	return can
}

// limitable tells why the kernel does not limit a resource here; nil if it does.
func limitable(groups, resource string) error {
	dir := groups
	switch all, err := os.ReadFile(filepath.Join(groups, "cgroup.controllers")); {
	case err == nil && !slices.Contains(strings.Fields(string(all)), resource):
		return fmt.Errorf("the kernel has no control of %s in %s", resource, groups)
	case errors.Is(err, os.ErrNotExist): // v1: a tree for each resource
		dir = filepath.Join(groups, resource)
	case err != nil:
		return err
	}
	if err := unix.Access(dir, unix.W_OK); err != nil {
		return fmt.Errorf("%s cannot be written: %w", dir, err)
	}
	return nil
}

// swappable tells why the kernel does not limit what of a group's memory is
// swapped out; nil if it does.
func swappable(groups string) error {
	_, err := os.Stat(filepath.Join(groups, "memory", "memory.memsw.limit_in_bytes"))
	if err == nil {
		return nil
	}
	// In v2 only groups below the first one have the file.
	found, err := filepath.Glob(filepath.Join(groups, "*", "memory.swap.max"))
	if err == nil && len(found) == 0 {
		err = os.ErrNotExist
	}
	return err
}
