//go:build linux

// Command where measures what it takes to build an app on a rack, and on the machine of
// the job: the bytes that go over its link to the rack, and the seconds.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/convox-ci/convox-ci/bench/rig"
)

const app = "shop"

// stage is one build of a way, each with another source than the one before.
type stage struct {
	name   string
	forget bool // all that the machine of the job had from builds before it
}

// way is one way to build. It begins with a rack and a machine that know nothing.
type way struct {
	name   string
	flags  []string
	stages []stage
}

const (
	first   = "first build"
	changed = "one file changed"
	afresh  = "one file changed, new machine"
)

// ways has the peer of the others first. A rack keeps its layers, whatever becomes of
// the machine of the job. %s is a registry that is not behind the link.
var ways = []way{
	{"on the Rack", nil, []stage{{first, true}, {changed, true}}},
	{"repository", []string{"--external", "--delivery", "repository"}, []stage{{first, true}, {changed, false}, {afresh, true}}},
	{"repository, layer cache", []string{"--external", "--delivery", "repository", "--cache-from", "%s/cache:1", "--cache-to", "type=registry,ref=%s/cache:1,mode=max"},
		[]stage{{first, true}, {afresh, true}}},
	{"import", []string{"--external", "--delivery", "import"}, []stage{{first, true}, {changed, false}}},
}

// took is what one build cost, and what of that of its peer in the same round.
type took struct {
	sent    int64 // bytes over the link
	seconds float64

	bytesRatio, secondsRatio float64
}

// bench is what a run needs.
type bench struct {
	dir     string // of everything
	program rig.Program
	island  *island
	shop    *shop
	base    string // host of the registry of the base image
	mbits   float64
}

func main() {
	rounds := flag.Int("rounds", 3, "rounds, in each of which all ways are measured in turn")
	mbits := flag.Float64("link", 20, "Mbit/s of the link from the machine of the job to the rack; what comes back is not slowed")
	flag.Parse()
	if err := run(context.Background(), *rounds, *mbits); err != nil {
		fmt.Fprintln(os.Stderr, "where:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, rounds int, mbits float64) (err error) {
	b := &bench{mbits: mbits}
	if b.dir, err = os.MkdirTemp("", "bench-where-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if b.program, err = rig.Build(ctx, b.dir, "convox-env"); err != nil {
		return err
	}
	if b.island, err = newIsland(); err != nil {
		return err
	}
	var stop func()
	if b.base, stop, err = serveBase(b.island); err != nil {
		return err
	}
	defer stop()
	if b.shop, err = newShop(ctx, filepath.Join(b.dir, "source"), b.base); err != nil {
		return err
	}
	all := map[string][]took{}
	for round := range rounds {
		if err := b.round(ctx, round, all); err != nil {
			return err
		}
	}
	b.report(rounds, all)
	return nil
}

// key names a row.
func key(w way, stage string) string { return w.name + ": " + stage }

// round measures each way once. Who goes first changes.
func (b *bench) round(ctx context.Context, round int, all map[string][]took) error {
	now := map[string]took{}
	for i := range ways {
		w := ways[(i+round)%len(ways)]
		if err := b.measure(ctx, w, now); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	for _, w := range ways {
		for _, s := range w.stages {
			key, peer := key(w, s.name), now[key(ways[0], peerOf(s.name))]
			t := now[key]
			t.bytesRatio, t.secondsRatio = float64(t.sent)/float64(peer.sent), t.seconds/peer.seconds
			all[key] = append(all[key], t)
			fmt.Fprintf(os.Stderr, "round %d, %s: %d bytes, %.1f s\n", round+1, key, t.sent, t.seconds)
		}
	}
	return nil
}

// peerOf is the stage of the peer that a stage is compared with.
func peerOf(stage string) string {
	if stage == first {
		return first
	}
	return changed
}

// measure makes the builds of a way.
func (b *bench) measure(ctx context.Context, w way, now map[string]took) (err error) {
	dir, err := os.MkdirTemp(b.dir, "way-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r, err := b.program.Serve(ctx, filepath.Join(dir, "rack"), engine...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Stop()) }()
	link := rig.NewLink(b.mbits)
	stop, err := b.open(r, link)
	if err != nil {
		return err
	}
	defer stop()
	state := filepath.Join(dir, "machine")
	environ := append([]string{"RACK_URL=" + r.URL, "XDG_STATE_HOME=" + state}, engine...)
	if _, err := b.program.Run(ctx, environ, "apps", "create", app); err != nil {
		return err
	}
	args := []string{"build", "--app", app, b.shop.dir}
	for _, flag := range w.flags {
		args = append(args, strings.ReplaceAll(flag, "%s", b.base+"/"+filepath.Base(dir)))
	}
	for _, s := range w.stages {
		if err := b.shop.change(); err != nil {
			return err
		}
		if s.forget {
			if err := os.RemoveAll(state); err != nil {
				return err
			}
		}
		was, begun := link.Sent(), time.Now()
		if err := b.island.do(func() error { _, err := b.program.Run(ctx, environ, args...); return err }); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		now[key(w, s.name)] = took{sent: link.Sent() - was, seconds: time.Since(begun).Seconds()}
	}
	return nil
}

// engine has the rack and the machine of the job build with the BuildKit inside
// convox-ci, whose layers are where each of them keeps its state.
var engine = []string{"BUILDKIT_HOST=", "DOCKER_HOST=unix:///nonexistent/docker.sock"}

// open puts a link before the API and the registry of a rack.
func (b *bench) open(r *rig.Rack, link *rig.Link) (stop func(), err error) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return nil, err
	}
	var stops []func() error
	stop = func() {
		for _, s := range stops {
			s()
		}
	}
	for _, address := range []string{u.Host, r.Registry} {
		s, err := b.island.bridge(address, link)
		if err != nil {
			stop()
			return nil, err
		}
		stops = append(stops, s)
	}
	return stop, nil
}

// report prints the medians, and their ratios to those of the peer of the same round.
func (b *bench) report(rounds int, all map[string][]took) {
	fmt.Printf("source of %d files, %.1f MB; base image of %.1f MB; link of %g Mbit/s; %d rounds; %s\n\n",
		b.shop.files, float64(b.shop.bytes)/1e6, float64(baseSize)/1e6, b.mbits, rounds, rig.Load())
	fmt.Printf("| %-54s | %8s | %21s | %20s | %20s |\n", "", "MB sent", "s: min, median, max", "bytes to the Rack's", "seconds to the Rack's")
	fmt.Printf("| --- | ---: | ---: | ---: | ---: |\n")
	for _, w := range ways {
		for _, s := range w.stages {
			of := all[key(w, s.name)]
			sent := rig.Column(of, func(t took) float64 { return float64(t.sent) / 1e6 })
			fmt.Printf("| %-54s | %8.2f | %21s | %20s | %20s |\n", key(w, s.name), rig.Median(sent), spread(rig.Column(of, func(t took) float64 { return t.seconds })),
				spread(rig.Column(of, func(t took) float64 { return t.bytesRatio })), spread(rig.Column(of, func(t took) float64 { return t.secondsRatio })))
		}
	}
}

// spread is the least, the middle and the largest of sorted numbers.
func spread(sorted []float64) string {
	return fmt.Sprintf("%.2f, %.2f, %.2f", sorted[0], rig.Median(sorted), sorted[len(sorted)-1])
}
