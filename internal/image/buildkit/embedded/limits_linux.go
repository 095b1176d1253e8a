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

// The resources that builds have limits of, as the kernel calls them.
const (
	memory = "memory"
	cpu    = "cpu"
)

// limiter knows which limits this machine can hold.
type limiter struct {
	missing func() (memory, cpu error) // why not
	missed  func()
}

// newLimiter looks at the machine when limits are asked for first, since that may
// change it.
func newLimiter(kernel string, notice func(string)) *limiter {
	l := &limiter{missing: sync.OnceValues(func() (error, error) { return limitable(kernel, memory), limitable(kernel, cpu) })}
	l.missed = sync.OnceFunc(func() {
		if notice != nil {
			notice(fmt.Sprintf("Not all limits of builds can be held on this machine: %v", errors.Join(l.missing())))
		}
	})
	return l
}

// held is what of limits can be held.
func (l *limiter) held(asked image.Limits) image.Limits {
	if asked == (image.Limits{}) {
		return asked
	}
	can := asked
	noMemory, noCPU := l.missing()
	if noMemory != nil {
		can.Memory = 0
	}
	if noCPU != nil {
		can.CPU = 0
	}
	if can != asked {
		l.missed()
	}
	return can
}

// limitable tells why the kernel does not limit a resource here; nil if it does.
func limitable(kernel, resource string) error {
	dir := kernel
	if !unified(kernel) {
		dir = filepath.Join(kernel, resource)
	}
	if err := unix.Access(dir, unix.W_OK); err != nil {
		return fmt.Errorf("%s cannot be written: %w", dir, err)
	}
	if dir != kernel {
		return nil
	}
	return switchOn(kernel, resource)
}

// unified tells v2, in which all resources have one tree, from v1 with a tree for
// each.
func unified(kernel string) bool {
	_, err := os.Stat(filepath.Join(kernel, "cgroup.controllers"))
	return err == nil
}

// switchOn has the groups below one of v2 have limits of a resource. In a group with
// processes of its own, as the first one that a container sees has, memory cannot be
// switched on, and with CPU it would be one whose groups are for threads alone.
func switchOn(group, resource string) error {
	all, err := os.ReadFile(filepath.Join(group, "cgroup.controllers"))
	if err != nil {
		return err
	}
	if !slices.Contains(strings.Fields(string(all)), resource) {
		return fmt.Errorf("the kernel has no control of %s in %s", resource, group)
	}
	kind, err := os.ReadFile(filepath.Join(group, "cgroup.type"))
	inner := err == nil // the first group of a machine has no such file, and may have processes
	if inner && strings.TrimSpace(string(kind)) != "domain" {
		return fmt.Errorf("%s has only groups of threads below it", group)
	}
	name := filepath.Join(group, "cgroup.subtree_control")
	on, err := os.ReadFile(name)
	if err != nil || slices.Contains(strings.Fields(string(on)), resource) {
		return err
	}
	if procs, err := os.ReadFile(filepath.Join(group, "cgroup.procs")); inner && (err != nil || len(procs) > 0) {
		return errors.Join(fmt.Errorf("the control of %s below %s cannot be switched on, since processes run in it", resource, group), err)
	}
	if err := os.WriteFile(name, []byte("+"+resource), 0); err != nil {
		return fmt.Errorf("the control of %s below %s cannot be switched on: %w", resource, group, err)
	}
	return nil
}
