package container

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/continuity/fs"
	"github.com/moby/profiles/seccomp"
	"github.com/moby/sys/user"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// defaultPath is where programs are looked for in an image that does not say:
// Docker's default.
const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// spec says how the container is made: with what Docker gives to one, but for the
// network, which is the machine's as it is for the steps of builds. See
// https://github.com/opencontainers/runtime-spec/blob/main/config.md.
func (c *held) spec(id string) *specs.Spec {
	s := &specs.Spec{
		Version:  "1.0.2", // what runc 1.0 reads
		Hostname: id,
		Root:     &specs.Root{Path: c.merged()},
		Mounts:   mounts(),
		Process:  c.process(nil, nil),
		Linux: &specs.Linux{
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.PIDNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace}, {Type: specs.MountNamespace},
			},
			Resources: &specs.LinuxResources{Devices: devices()},
			MaskedPaths: []string{
				"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
				"/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
				"/sys/devices/virtual/powercap", "/sys/firmware",
			},
			ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	}
	// The first process is not started: runc's own, which waits to become it,
	// holds the container. Its program has to exist all the same, and this one
	// does in every image. It is root's, whoever the commands belong to.
	s.Process.Args, s.Process.User = []string{"/proc/self/exe"}, specs.User{}
	if profile, err := seccomp.GetDefaultProfile(s); err == nil { // fails where Docker does without, too
		s.Linux.Seccomp = profile
	}
	return s
}

// mounts are the file systems that every program may count on, and the files by
// which it finds the network.
func mounts() []specs.Mount {
	plain := []string{"nosuid", "noexec", "nodev"}
	with := func(more ...string) []string { return append(more, plain...) }
	all := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: plain},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: with("mode=1777", "size=65536k")},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: plain},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: with("ro")},
	}
	for _, name := range []string{"/etc/resolv.conf", "/etc/hosts"} {
		if _, err := os.Stat(name); err == nil {
			all = append(all, specs.Mount{Destination: name, Type: "bind", Source: name, Options: with("rbind", "ro")})
		}
	}
	return all
}

// devices lets commands make nodes of devices, as packages do when they are
// installed, and use none but those that runc always allows.
func devices() []specs.LinuxDeviceCgroup {
	return []specs.LinuxDeviceCgroup{
		{Allow: false, Access: "rwm"},
		{Allow: true, Type: "c", Access: "m"},
		{Allow: true, Type: "b", Access: "m"},
	}
}

// capabilities are those that Docker gives to root in a container. They only
// bound what another user can come to.
func capabilities() *specs.LinuxCapabilities {
	all := []string{
		"CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD", "CAP_NET_BIND_SERVICE",
		"CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
	}
	return &specs.LinuxCapabilities{Bounding: all, Effective: all, Permitted: all}
}

// process is a command of the container as its image has commands run.
func (c *held) process(args, env []string) *specs.Process {
	dir := c.config.WorkingDir
	if !filepath.IsAbs(dir) {
		dir = "/" + dir
	}
	return &specs.Process{Args: args, Env: merge([]string{defaultPath}, c.config.Env, env), Cwd: dir, User: c.user, Capabilities: capabilities()}
}

// merge puts lists of NAME=VALUE together; the last value of a name counts.
func merge(lists ...[]string) []string {
	var all []string
	at := map[string]int{}
	for _, list := range lists {
		for _, entry := range list {
			name, _, _ := strings.Cut(entry, "=")
			if i, ok := at[name]; ok {
				all[i] = entry
				continue
			}
			at[name] = len(all)
			all = append(all, entry)
		}
	}
	return all
}

// userOf looks up whom an image has its commands belong to, in the files of the
// image: a name or number, alone or with : and a group; "" is root.
func userOf(tree, name string) (specs.User, error) {
	passwd, err := fileOf(tree, "/etc/passwd")
	if err != nil {
		return specs.User{}, err
	}
	group, err := fileOf(tree, "/etc/group")
	if err != nil {
		return specs.User{}, err
	}
	u, err := user.GetExecUserPath(name, nil, passwd, group)
	if err != nil {
		return specs.User{}, err
	}
	found := specs.User{UID: uint32(u.Uid), GID: uint32(u.Gid)} // both within 31 bits, as the look-up holds them to
	for _, id := range u.Sgids {
		found.AdditionalGids = append(found.AdditionalGids, uint32(id))
	}
	return found, nil
}

// fileOf finds a file of an image, whose links lead from its root; "" if there
// is none. What is there and no file is an error: to open a pipe takes for ever,
// and runc opens some of these as well.
func fileOf(tree, name string) (string, error) {
	found, err := fs.RootPath(tree, name)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	info, err := os.Stat(found)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file", name)
	}
	return found, err
}
