package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/moby/buildkit/executor"
	resourcestypes "github.com/moby/buildkit/executor/resources/types"
	"github.com/moby/buildkit/solver/pb"
	"golang.org/x/sys/unix"
)

// kernelGroups is where the kernel takes limits of groups of processes:
// https://docs.kernel.org/admin-guide/cgroup-v2.html, and cgroup-v1 on machines
// that have the former one.
const kernelGroups = "/sys/fs/cgroup"

// limiter runs steps with as much of their limits as this machine can hold: runc
// refuses to start one with any other.
type limiter struct {
	executor.Executor
	memory, swap, cpu error // why not
	missed            func()
}

func newLimiter(e executor.Executor, groups string, notice func(string)) *limiter {
	l := &limiter{Executor: e, memory: limitable(groups, "memory"), cpu: limitable(groups, "cpu"), swap: swappable(groups)}
	l.missed = sync.OnceFunc(func() {
		if notice != nil {
			notice(fmt.Sprintf("Not all limits of build steps can be held on this machine: %v", errors.Join(l.memory, l.cpu)))
		}
	})
	return l
}

// Run implements [executor.Executor].
func (l *limiter) Run(ctx context.Context, id string, root executor.Mount, mounts []executor.Mount, process executor.ProcessInfo, started chan<- struct{}) (resourcestypes.Recorder, error) {
	process.Meta.LinuxResources = l.held(process.Meta.LinuxResources)
	return l.Executor.Run(ctx, id, root, mounts, process, started)
}

// held is what of the limits can be held. They are those of other builds as well,
// and stay as they are.
func (l *limiter) held(asked *pb.LinuxResources) *pb.LinuxResources {
	if asked == nil {
		return nil
	}
	r := asked.CloneVT()
	if r.Memory != 0 && l.memory != nil {
		r.Memory = 0
		l.missed()
	}
	if r.CpuQuota != 0 && l.cpu != nil {
		r.CpuQuota, r.CpuPeriod = 0, 0
		l.missed()
	}
	if l.swap == nil {
		r.MemorySwap = r.Memory // of both together
	}
	return r
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
