//go:build unix

package app

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/convox-ci/convox-ci/internal/container"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

// shells stand where containers cannot be: within a bubble of synctest, whose
// clock would have to run while runc works with cgroups and timers of its own.
// What is run is run by this machine's sh in a process group, in the place of a
// container; a directory is its /tmp. A shell is a real process all the same,
// with the exit status, the output, the end of input and the death of a
// container's, and while it runs the clock of the bubble stands still, since a
// process outside is waited for. What the engine itself does is tested on real
// containers, in its own package and in that of the rack.
type shells struct {
	rackd.Files // none is copied here
	dir         string
	env         []string
	bare        bool // there is no /tmp
	mu          sync.Mutex
	of          map[string]map[int]bool // process groups by container
	made        int
}

// Create is that of [rackd.Containers].
func (s *shells) Create(_ context.Context, id, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of[id] = map[int]bool{}
	s.made++
	if s.bare {
		return nil
	}
	return os.MkdirAll(s.tmp(id), 0o700)
}

func (s *shells) tmp(id string) string { return filepath.Join(s.dir, id) }

// Run is that of [rackd.Containers].
func (s *shells) Run(id string, c container.Command) (int, error) {
	cmd := exec.Command("sh", "-c", strings.ReplaceAll(c.Line, "/tmp/", s.tmp(id)+"/"))
	cmd.Env = append(append(cmd.Environ(), c.Env...), s.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	output, out, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer output.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := s.begin(id, cmd); err != nil {
		return 0, errors.Join(err, out.Close())
	}
	out.Close()
	go func() {
		io.Copy(in, c.Input)
		in.Close()
	}()
	io.Copy(c.Output, output)
	err = cmd.Wait()
	s.ended(id, cmd)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// begin starts a command, unless its container is gone.
func (s *shells) begin(id string, cmd *exec.Cmd) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[id] == nil {
		return errors.New("there is no container " + id)
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.of[id][cmd.Process.Pid] = true
	return nil
}

// ended forgets a command, whose number another process may get.
func (s *shells) ended(id string, cmd *exec.Cmd) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.of[id], cmd.Process.Pid)
}

// Remove is that of [rackd.Containers].
func (s *shells) Remove(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for group := range s.of[id] {
		syscall.Kill(-group, syscall.SIGKILL)
	}
	delete(s.of, id)
	return os.RemoveAll(s.tmp(id))
}

// count tells how many containers were made and how many are left.
func (s *shells) count() (made, left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.made, len(s.of)
}
