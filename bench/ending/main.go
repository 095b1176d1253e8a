//go:build linux

// Command ending measures how long after the end of a build on the rack convox-ci ends: on a rack
// that serves, and on one in the process.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/convox-ci/convox-ci/bench/rig"
	"github.com/convox-ci/convox-ci/internal/rack"
)

const (
	app       = "small"
	lookEvery = 2 * time.Millisecond // at the record, which is how exact the figures are
)

// bench is what a run needs.
type bench struct {
	dir     string // of everything
	program rig.Program
	source  string // a folder that builds to one file
	url     string // of the rack that serves
}

func main() {
	rounds := flag.Int("rounds", 9, "counted rounds, after one that fills the build cache")
	flag.Parse()
	if err := run(context.Background(), *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "ending:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, rounds int) (err error) {
	dir, err := os.MkdirTemp("", "bench-ending-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{dir: dir, source: filepath.Join(dir, "source")}
	if b.program, err = rig.Build(ctx, dir); err != nil {
		return err
	}
	if err := b.write(); err != nil {
		return err
	}
	served, err := b.served(ctx, rounds)
	if err != nil {
		return err
	}
	local, err := repeat(rounds, func() (time.Duration, error) { return b.onLocal(ctx) })
	if err != nil {
		return err
	}
	fmt.Printf("%d rounds; %s\n%-62s %6s %6s %6s\n", rounds, rig.Load(), "ms", "min", "median", "max")
	line := func(what string, all []time.Duration) {
		fmt.Printf("%-62s %6d %6d %6d\n", what, all[0].Milliseconds(), all[len(all)/2].Milliseconds(), all[len(all)-1].Milliseconds())
	}
	line("rack that serves: from the record complete to our exit", served)
	line("rack in the process: from the last line of the log to our exit", local)
	return nil
}

// served measures on a rack that serves.
func (b *bench) served(ctx context.Context, rounds int) (all []time.Duration, err error) {
	r, err := b.program.Serve(ctx, filepath.Join(b.dir, "served"), nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Stop()) }()
	b.url = r.URL
	if _, err := b.program.Run(ctx, []string{"RACK_URL=" + b.url}, "apps", "create", app); err != nil {
		return nil, err
	}
	return repeat(rounds, func() (time.Duration, error) { return b.onServed(ctx) })
}

// repeat gives the sorted times of the rounds.
func repeat(rounds int, round func() (time.Duration, error)) ([]time.Duration, error) {
	var all []time.Duration
	for i := range rounds + 1 {
		took, err := round()
		if err != nil {
			return nil, err
		}
		if i > 0 {
			all = append(all, took)
		}
	}
	slices.Sort(all)
	return all, nil
}

// write makes a source whose build needs no image from elsewhere.
func (b *bench) write() error {
	return errors.Join(
		os.Mkdir(b.source, 0o700),
		os.WriteFile(filepath.Join(b.source, "convox.yml"), []byte("services:\n  one:\n    build: .\n"), 0o600),
		os.WriteFile(filepath.Join(b.source, "Dockerfile"), []byte("FROM scratch\nCOPY convox.yml /\n"), 0o600),
	)
}

// command starts convox-ci with the environment of this process and some of its own.
func (b *bench) command(ctx context.Context, environ []string, args ...string) (*exec.Cmd, *bufio.Scanner, error) {
	c := b.program.Command(ctx, environ, args...)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	return c, bufio.NewScanner(out), c.Start()
}

// onServed builds on the rack that serves, and watches the record beside.
func (b *bench) onServed(ctx context.Context) (time.Duration, error) {
	c, out, err := b.command(ctx, []string{"RACK_URL=" + b.url}, "build", "--app", app, b.source)
	if err != nil {
		return 0, err
	}
	id := ""
	for id == "" && out.Scan() {
		if name, value, ok := strings.Cut(out.Text(), ":"); ok && name == "Build" {
			id = strings.TrimSpace(value)
		}
	}
	go func() {
		for out.Scan() {
		}
	}()
	completed, err := b.await(ctx, id)
	if err != nil {
		return 0, err
	}
	err = c.Wait()
	return time.Since(completed), err
}

// await returns when a record became complete.
func (b *bench) await(ctx context.Context, id string) (time.Time, error) {
	e, err := rack.Direct(b.url)
	if err != nil {
		return time.Time{}, err
	}
	transport, err := rack.Transport(rack.TLS{})
	if err != nil {
		return time.Time{}, err
	}
	defer transport.CloseIdleConnections()
	c := rack.New(e, transport, nil)
	for {
		build, err := c.Build(ctx, app, id)
		if err != nil || build.Status == rack.BuildComplete {
			return time.Now(), err
		}
		time.Sleep(lookEvery)
	}
}

// onLocal builds on a rack in the process. Nobody else can see its record, so the time begins a
// little earlier, with the last line of the log.
func (b *bench) onLocal(ctx context.Context) (time.Duration, error) {
	c, out, err := b.command(ctx, nil, "build", "--rack", "local", "--app", app, "--data", filepath.Join(b.dir, "local"), b.source)
	if err != nil {
		return 0, err
	}
	var last time.Time
	for out.Scan() {
		if strings.HasPrefix(out.Text(), "Image: ") {
			last = time.Now()
		}
	}
	if err := c.Wait(); err != nil {
		return 0, err
	}
	if last.IsZero() {
		return 0, errors.New("the log has no line with the image")
	}
	return time.Since(last), nil
}
