//go:build linux

// Package rig is what several benchmarks need: the program that they measure, a rack that
// it serves, a slow link, and the middle of figures.
package rig

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

const module = "github.com/convox-ci/convox-ci/"

// Program is a convox-ci that was built for a benchmark, by its path.
type Program string

// Build builds convox-ci into a directory, and other commands beside it.
func Build(ctx context.Context, dir string, beside ...string) (Program, error) {
	args := []string{"build", "-o", dir + "/"}
	for _, name := range append([]string{"convox-ci"}, beside...) {
		args = append(args, module+"cmd/"+name)
	}
	build := exec.CommandContext(ctx, "go", args...)
	build.Stderr = os.Stderr
	return Program(filepath.Join(dir, "convox-ci")), build.Run()
}

// Command is a run of it, with more variables than this process has.
func (p Program) Command(ctx context.Context, environ []string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, string(p), args...)
	c.Env = append(os.Environ(), environ...)
	return c
}

// Run runs it and gives what it printed, which is in the error as well.
func (p Program) Run(ctx context.Context, environ []string, args ...string) (string, error) {
	out, err := p.Command(ctx, environ, args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// Rack is one that a process of its own serves, on loopback.
type Rack struct {
	URL      string
	Registry string // host and port
	Stop     func() error
}

// Serve starts a rack over the data that there is, with more variables and arguments,
// and returns when it is ready.
func (p Program) Serve(ctx context.Context, data string, environ []string, args ...string) (*Rack, error) {
	if !slices.Contains(args, "--registry") { // it has its own
		args = append(args, "--registry-listen", "127.0.0.1:0")
	}
	c := p.Command(ctx, environ, append([]string{"rack", "serve", "--listen", "127.0.0.1:0", "--data", data}, args...)...)
	c.Stderr = os.Stderr
	pipe, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	r := &Rack{Stop: func() error { return errors.Join(c.Process.Signal(syscall.SIGTERM), c.Wait()) }}
	for out := bufio.NewScanner(pipe); out.Scan() && out.Text() != "Ready"; {
		name, value, _ := strings.Cut(out.Text(), ":")
		switch value = strings.TrimSpace(value); name {
		case "Registry":
			r.Registry = value
		case "Rack":
			r.URL = strings.TrimPrefix(value, "RACK_URL=")
		}
	}
	if r.URL == "" {
		return nil, errors.Join(errors.New("the rack does not start"), r.Stop())
	}
	go io.Copy(io.Discard, pipe) // or the rack would wait for us
	return r, nil
}

// Column is one number of every sample, sorted.
func Column[T any](all []T, of func(T) float64) []float64 {
	var column []float64
	for _, one := range all {
		column = append(column, of(one))
	}
	slices.Sort(column)
	return column
}

// Median is the middle of sorted numbers.
func Median(sorted []float64) float64 {
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// Load is what the machine has to do, as the kernel says.
func Load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err.Error()
	}
	return "load " + strings.Join(strings.Fields(string(text))[:3], " ")
}
