package container

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Engine runs containers. Its methods may be called from many goroutines at once.
type Engine struct {
	root   string
	images Images

	unpacking sync.Mutex // held while trees are made and dropped

	mu   sync.Mutex
	held map[string]*held // by id
}

// held is a container in which commands can be run.
type held struct {
	dir    string // of its own
	tree   string // of its image, which others share
	config v1.Config
	user   specs.User

	removing sync.Mutex // held while it is removed
}

// New makes an engine that keeps everything below root, a directory of its own
// that is made when it is needed. One engine at a time may use it, and
// [Sweep] has to come before.
func New(root string, images Images) *Engine {
	return &Engine{root: root, images: images, held: map[string]*held{}}
}

// supported tells what this machine lacks.
func supported() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: they need root", ErrUnsupported)
	}
	if _, err := exec.LookPath("runc"); err != nil {
		return fmt.Errorf("%w: they need runc on the PATH (Debian and Ubuntu: apt-get install runc)", ErrUnsupported)
	}
	return nil
}

// Create makes a container of an image, which lasts until it is removed, with
// nothing in it that runs: nothing in the image has to be able to wait. The id
// is new, and made of letters and digits. The container has a file system of
// its own and the network of the machine.
func (e *Engine) Create(ctx context.Context, id, ref string) (err error) {
	if err := supported(); err != nil {
		return err
	}
	img, err := e.images(ctx, ref)
	if err != nil {
		return fmt.Errorf("image %s: %w", ref, err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		return fmt.Errorf("image %s: %w", ref, err)
	}
	digest, err := img.Digest()
	if err != nil {
		return fmt.Errorf("image %s: %w", ref, err)
	}
	c := &held{dir: filepath.Join(e.root, "containers", id), tree: e.tree(digest), config: config.Config}
	e.mu.Lock()
	e.held[id] = c // from now on the tree is not dropped
	e.mu.Unlock()
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Remove(id))
		}
	}()
	if err := e.unpackOnce(ctx, img, c.tree); err != nil {
		return fmt.Errorf("unpack image %s: %w", ref, err)
	}
	if c.user, err = userOf(c.tree, c.config.User); err != nil {
		return fmt.Errorf("image %s: %w", ref, err)
	}
	if err := c.mount(); err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(c.dir, "config.json"), c.spec(id)); err != nil {
		return err
	}
	return e.runc("create", "--no-new-keyring", "--bundle", c.dir, id)
}

// optionText makes a path stand for itself within the options of a mount.
var optionText = strings.NewReplacer(`\`, `\\`, `:`, `\:`, `,`, `\,`)

// mount lays a directory for what the container changes over the tree of its image.
func (c *held) mount() error {
	upper, work, merged := filepath.Join(c.dir, "upper"), filepath.Join(c.dir, "work"), c.merged()
	for _, dir := range []string{upper, work, merged} {
		if err := os.MkdirAll(dir, 0o755); err != nil { // the first is / to the container's users
			return err
		}
	}
	options := "lowerdir=" + optionText.Replace(c.tree) + ",upperdir=" + optionText.Replace(upper) + ",workdir=" + optionText.Replace(work)
	if err := unix.Mount("overlay", merged, "overlay", 0, options); err != nil {
		return fmt.Errorf("mount an overlay below %s: %w", c.dir, err)
	}
	return nil
}

// merged is where the file system of the container is mounted.
func (c *held) merged() string { return filepath.Join(c.dir, "rootfs") }

// Remove ends everything that runs in a container and removes it. It does
// nothing where there is none.
func (e *Engine) Remove(id string) error {
	c := e.find(id)
	if c == nil {
		return nil
	}
	c.removing.Lock() // a second call waits until there is none
	defer c.removing.Unlock()
	if e.find(id) == nil {
		return nil
	}
	err := e.discard(id)
	e.mu.Lock()
	delete(e.held, id)
	e.mu.Unlock()
	return err
}

// find gives a container that is held; nil if there is none.
func (e *Engine) find(id string) *held {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.held[id]
}

// discard removes what there is of a container, whole or not.
func (e *Engine) discard(id string) error {
	dir := filepath.Join(e.root, "containers", id)
	if _, err := os.Stat(filepath.Join(e.root, "runc", id)); err == nil {
		if err := e.runc("delete", "--force", id); err != nil {
			return err
		}
	}
	err := unix.Unmount(filepath.Join(dir, "rootfs"), unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) { // not mounted; not even made
		return fmt.Errorf("unmount below %s: %w", dir, err)
	}
	return os.RemoveAll(dir)
}

// scratch makes a directory for the files of one call of runc, outside of that
// of the container: it may be removed at any time.
func (e *Engine) scratch() (string, error) {
	all := filepath.Join(e.root, "calls")
	if err := os.MkdirAll(all, 0o700); err != nil {
		return "", err
	}
	return os.MkdirTemp(all, "")
}

// command is a call of runc, which keeps its state apart from that of others
// and writes its faults into a log of the scratch directory.
func (e *Engine) command(scratch string, args ...string) *exec.Cmd {
	return exec.Command("runc", append([]string{"--root", filepath.Join(e.root, "runc"), "--log", filepath.Join(scratch, "log"), "--log-format", "json"}, args...)...)
}

// runc calls runc for something that ends by itself. Its streams are nowhere:
// a container that it makes would keep them.
func (e *Engine) runc(args ...string) error {
	scratch, err := e.scratch()
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	err = e.command(scratch, args...).Run()
	if reason := fault(scratch); err != nil && reason != "" {
		return fmt.Errorf("runc %s: %s", args[0], reason)
	}
	if err != nil {
		return fmt.Errorf("runc %s: %w", args[0], err)
	}
	return nil
}

// fault finds in its log why runc failed; "" if it did not.
func fault(scratch string) string {
	data, err := os.ReadFile(filepath.Join(scratch, "log"))
	if err != nil {
		return ""
	}
	reason := ""
	for line := range strings.Lines(string(data)) {
		var entry struct{ Level, Msg string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Level == "error" {
			reason = entry.Msg
		}
	}
	return strings.TrimPrefix(reason, "exec failed: unable to start container process: ")
}

// writeJSON writes a file for runc. What is in it may be secret.
func writeJSON(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o600)
}
