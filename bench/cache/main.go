//go:build linux

// Command cache measures what the persistent build cache is worth: how long a build takes
// cold, with what the builder still has, and with layers from the repository in the rack's
// registry after all that the builder had was wiped; and without the cache.
package main

import (
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
)

const (
	app = "shop"

	// steps is how many RUN steps a build has: as many as an app with its packages,
	// its dependencies, its assets and the rest.
	steps = 6

	// megabytes are what a step writes and what it compresses to get there: some
	// seconds of work, and a layer as dependencies make it.
	megabytes = 24
)

// way is one way to build.
type way struct {
	name   string
	wipe   bool     // the builder's state is removed before
	params []string // of the rack, set before
	flags  []string // of the build
}

var ways = []way{
	{"cold", false, []string{"BuildCache=Yes", "BuildMethod=ec2"}, nil},
	{"warm, from the builder's own state", false, nil, nil},
	{"state wiped, from the registry", true, nil, nil},
	{"state wiped, from the registry, fargate", true, []string{"BuildMethod=fargate"}, nil},
	{"--no-cache, fargate", false, nil, []string{"--no-cache"}},
	{"--no-cache, ec2", false, []string{"BuildMethod=ec2"}, []string{"--no-cache"}},
	{"state wiped, BuildCache=No", true, []string{"BuildCache=No"}, nil},
}

// took is what one build cost.
type took struct {
	time   time.Duration
	cached int // steps
}

// bench is what a run needs.
type bench struct {
	dir     string // of everything
	program rig.Program
	rack    *rig.Rack
}

func main() {
	rounds := flag.Int("rounds", 3, "rounds, in each of which all ways are measured in turn")
	flag.Parse()
	if err := run(context.Background(), *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "cache:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, rounds int) (err error) {
	dir, err := os.MkdirTemp("", "bench-cache-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{dir: dir}
	if b.program, err = rig.Build(ctx, dir); err != nil {
		return err
	}
	if err := b.serve(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.rack.Stop()) }()
	if _, err := b.command(ctx, "apps", "create", app); err != nil {
		return err
	}
	all := map[string][]took{}
	for round := range rounds {
		if err := b.round(ctx, round, all); err != nil {
			return err
		}
	}
	report(rounds, all)
	return nil
}

// round measures each way once, with a source that no build had before.
func (b *bench) round(ctx context.Context, round int, all map[string][]took) error {
	source := filepath.Join(b.dir, fmt.Sprint("source", round))
	if err := write(source, round); err != nil {
		return err
	}
	for _, w := range ways {
		t, err := b.measure(ctx, w, source)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		fmt.Fprintf(os.Stderr, "round %d, %s: %v, %d cached\n", round+1, w.name, t.time.Round(time.Millisecond), t.cached)
		all[w.name] = append(all[w.name], t)
	}
	return nil
}

func (b *bench) measure(ctx context.Context, w way, source string) (took, error) {
	if w.wipe {
		if err := errors.Join(b.rack.Stop(), os.RemoveAll(filepath.Join(b.dir, "data", "buildkit")), b.serve(ctx)); err != nil {
			return took{}, err
		}
	}
	if len(w.params) > 0 {
		// What is so already is answered with an error, as on a real rack.
		b.command(ctx, append([]string{"rack", "params", "set"}, w.params...)...)
	}
	begun := time.Now()
	log, err := b.command(ctx, slices.Concat([]string{"build", "--app", app}, w.flags, []string{source})...)
	t := took{time: time.Since(begun)}
	for line := range strings.Lines(log) {
		if strings.HasSuffix(strings.TrimSpace(line), " CACHED") {
			t.cached++
		}
	}
	return t, err
}

// report prints the medians, and their ratios to that of the cold build.
func report(rounds int, all map[string][]took) {
	fmt.Printf("%d rounds, %d steps to cache; %s\n%-42s %8s %8s %8s %8s %8s\n", rounds, steps+1, rig.Load(), "", "min s", "median s", "max s", "to cold", "CACHED")
	median := func(name string) time.Duration { return all[name][len(all[name])/2].time }
	for _, w := range ways {
		slices.SortFunc(all[w.name], func(a, b took) int { return int(a.time - b.time) })
	}
	for _, w := range ways {
		of := all[w.name]
		fmt.Printf("%-42s %8.2f %8.2f %8.2f %8.2f %8d\n", w.name, of[0].time.Seconds(), median(w.name).Seconds(), of[len(of)-1].time.Seconds(),
			median(w.name).Seconds()/median(ways[0].name).Seconds(), of[len(of)/2].cached)
	}
}

// write makes a source whose build needs no image from elsewhere. Each step makes
// what does not compress, by work of the processor.
func write(dir string, salt int) error {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return fmt.Errorf("%w; on Debian and Ubuntu: apt-get install busybox-static", err)
	}
	data, err := os.ReadFile(busybox)
	if err != nil {
		return err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "FROM scratch\nCOPY busybox /bin/\nENV SALT=%d-%d\n", salt, os.Getpid())
	for i := range steps {
		fmt.Fprintf(&text, "RUN [\"/bin/busybox\", \"sh\", \"-c\", \"busybox head -c %d /dev/urandom | busybox gzip -9 > /layer%d\"]\n", megabytes<<20, i)
	}
	return errors.Join(
		os.MkdirAll(dir, 0o700),
		os.WriteFile(filepath.Join(dir, "busybox"), data, 0o755),
		os.WriteFile(filepath.Join(dir, "convox.yml"), []byte("services:\n  web:\n    build: .\n"), 0o600),
		os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(text.String()), 0o600),
	)
}

// command runs convox-ci against the rack and gives what it printed.
func (b *bench) command(ctx context.Context, args ...string) (string, error) {
	return b.program.Run(ctx, []string{"RACK_URL=" + b.rack.URL}, args...)
}

// serve starts a rack over the data that there is.
func (b *bench) serve(ctx context.Context) (err error) {
	b.rack, err = b.program.Serve(ctx, filepath.Join(b.dir, "data"), nil)
	return err
}
