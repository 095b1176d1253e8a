package embedded

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// bounds are limits as a client asks for them, 0 for none.
type bounds struct {
	memory        int64 // in bytes
	period, quota int64 // of the time of CPUs, in microseconds
}

// takeBounds takes them out of the attributes of a build, for a frontend would ask
// for them again, for each step.
func takeBounds(attrs map[string]string) (b bounds, err error) {
	for name, value := range map[string]*int64{"memory": &b.memory, "cpuperiod": &b.period, "cpuquota": &b.quota} {
		text, ok := attrs[name]
		if !ok {
			continue
		}
		delete(attrs, name)
		if *value, err = strconv.ParseInt(text, 10, 64); err != nil || *value < 1 {
			return bounds{}, fmt.Errorf("%s: %q is not a whole number from 1 on", name, text)
		}
	}
	return b, nil
}

// group is a group of the kernel's, in which the steps of one build run.
type group struct {
	name   string
	memory int64
	users  int // the build, while it runs, and the steps in it
}

// groups makes a group for each build with limits, so that these count for all of
// its steps together.
type groups struct {
	kernel string
	parent string // of all groups, below the kernel's trees; no other daemon uses it

	mu     sync.Mutex
	builds map[string]*group // that run, by session; nil for one without limits
	used   map[string]*group // by name
	users  sync.WaitGroup
}

// newGroups also removes what a daemon on the same root left that was killed. What
// still runs it leaves, to be removed with the groups of later builds.
func newGroups(kernel, root string) *groups {
	of := sha256.Sum256([]byte(root))
	g := &groups{kernel: kernel, parent: fmt.Sprintf("convox-ci-%x", of[:8]), builds: map[string]*group{}, used: map[string]*group{}}
	g.sweep() // close tells what hinders it for good
	return g
}

// begin makes the group of a build, which ends with end.
func (g *groups) begin(session string, b bounds) (end func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var own *group
	leave := func() {}
	if b.memory > 0 || b.quota > 0 {
		own = &group{name: rand.Text(), memory: b.memory}
		if err := g.make(own.name, b); err != nil {
			return nil, errors.Join(fmt.Errorf("group of processes for the limits of the build: %w", err), g.sweep())
		}
		leave = g.use(own)
	}
	g.builds[session] = own
	return func() {
		g.mu.Lock()
		delete(g.builds, session)
		g.mu.Unlock()
		leave()
	}, nil
}

// join is asked for the group that a step of some builds has to run in, and keeps it
// until leave. It is "" if one of them has no limits, and of several groups that
// with the most memory: too little would end the step, too little CPU makes it slow.
func (g *groups) join(sessions []string) (parent string, leave func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var widest *group
	for _, session := range sessions {
		own, runs := g.builds[session]
		if !runs { // it has just ended
			continue
		}
		if own == nil {
			return "", func() {}
		}
		if widest == nil || widest.memory > 0 && (own.memory == 0 || own.memory > widest.memory) {
			widest = own
		}
	}
	if widest == nil {
		return "", func() {}
	}
	return filepath.Join("/", g.parent, widest.name), g.use(widest)
}

// use keeps a group until leave is called. The caller has locked.
func (g *groups) use(own *group) (leave func()) {
	own.users++
	g.used[own.name] = own
	g.users.Add(1)
	return func() {
		defer g.users.Done()
		g.mu.Lock()
		defer g.mu.Unlock()
		if own.users--; own.users == 0 {
			delete(g.used, own.name)
			g.sweep() // again with the next one, if need be
		}
	}
}

// close waits for the steps in groups, and removes all groups.
func (g *groups) close(ctx context.Context) error {
	left := make(chan struct{})
	go func() {
		g.users.Wait()
		close(left)
	}()
	select {
	case <-left:
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	err := g.sweep()
	for _, dir := range g.parents() {
		err = errors.Join(err, removeGroup(dir))
	}
	return err
}

// parents are the directories of the parent, of which each tree has one.
func (g *groups) parents() []string {
	if unified(g.kernel) {
		return []string{filepath.Join(g.kernel, g.parent)}
	}
	// In v1 runc makes groups in the trees of all resources.
	dirs, _ := filepath.Glob(filepath.Join(g.kernel, "*", g.parent)) // fails for bad patterns alone
	return dirs
}

// sweep removes all groups that nobody uses.
func (g *groups) sweep() (err error) {
	for _, parent := range g.parents() {
		entries, failed := os.ReadDir(parent)
		if failed != nil && !errors.Is(failed, fs.ErrNotExist) {
			err = errors.Join(err, failed)
		}
		for _, e := range entries {
			if e.IsDir() && g.used[e.Name()] == nil {
				err = errors.Join(err, removeGroup(filepath.Join(parent, e.Name())))
			}
		}
	}
	return err
}

// removeGroup removes a group and those in it, except those with processes.
func removeGroup(dir string) (err error) {
	var all []string
	filepath.WalkDir(dir, func(name string, e fs.DirEntry, failed error) error {
		if failed == nil && e.IsDir() {
			all = append(all, name)
		}
		return nil // one that cannot be read is gone, or fails below
	})
	for _, name := range slices.Backward(all) {
		failed := unix.Rmdir(name)
		if failed != nil && failed != unix.EBUSY && failed != unix.ENOTEMPTY && failed != unix.ENOENT {
			err = errors.Join(err, &fs.PathError{Op: "rmdir", Path: name, Err: failed})
		}
	}
	return err
}

// make makes a group with limits.
func (g *groups) make(name string, b bounds) error {
	v2 := unified(g.kernel)
	for _, s := range b.settings() {
		tree := g.kernel
		if !v2 {
			tree = filepath.Join(g.kernel, s.resource)
		}
		parent := filepath.Join(tree, g.parent)
		if err := os.MkdirAll(parent, 0o755); err != nil {
			return err
		}
		if v2 {
			if err := errors.Join(switchOn(tree, s.resource), switchOn(parent, s.resource)); err != nil {
				return err
			}
		}
		if err := os.MkdirAll(filepath.Join(parent, name), 0o755); err != nil {
			return err
		}
		values := s.v1
		if v2 {
			values = s.v2
		}
		if err := tell(filepath.Join(parent, name), values); err != nil {
			return err
		}
	}
	return nil
}

// setting is what the kernel is told of one resource, in this order.
type setting struct {
	resource string
	v1, v2   []value
}

type value struct {
	file, text string
	optional   bool // not every kernel has the file
}

// settings of bounds. What is swapped out counts as memory, where the kernel counts it.
func (b bounds) settings() (list []setting) {
	if b.memory > 0 {
		most := strconv.FormatInt(b.memory, 10)
		list = append(list, setting{memory, []value{
			{"memory.use_hierarchy", "1", true}, // kernels before 5.11 would count each step by itself
			{"memory.limit_in_bytes", most, false},
			{"memory.memsw.limit_in_bytes", most, true},
		}, []value{
			{"memory.max", most, false},
			{"memory.swap.max", "0", true},
		}})
	}
	if b.quota > 0 {
		period, quota := strconv.FormatInt(b.period, 10), strconv.FormatInt(b.quota, 10)
		list = append(list, setting{cpu, []value{
			{"cpu.cfs_period_us", period, false},
			{"cpu.cfs_quota_us", quota, false},
		}, []value{
			{"cpu.max", quota + " " + period, false},
		}})
	}
	return list
}

// tell sets values of a group.
func tell(group string, values []value) error {
	for _, v := range values {
		name := filepath.Join(group, v.file)
		if _, err := os.Stat(name); v.optional && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := os.WriteFile(name, []byte(v.text), 0); err != nil {
			return err
		}
	}
	return nil
}
