//go:build linux

// Command where measures what it takes to deploy an app that is built on a rack, or on
// the machine of the job: the bytes that the machine sends over its link, and the
// seconds.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/convox-ci/convox-ci/bench/rig"
)

const app = "shop"

// stage is one deploy of a way, each with another source than the one before.
type stage struct {
	name   string
	forget bool // all that the machine of the job had from builds before it
}

// way is one way to build. It begins with a rack and a machine that know nothing.
type way struct {
	name   string
	cloud  bool // on what stands for AWS
	flags  []string
	stages []stage
}

const (
	first   = "first"
	changed = "one file changed"
	afresh  = "one file changed, new machine"
)

// ways has the peer of the others first. A rack keeps its layers, whatever becomes of
// the machine of the job. %s is a registry that is not behind the link.
var ways = []way{
	{"on the Rack", false, nil, []stage{{first, true}, {changed, true}}},
	{"import", false, []string{"--external", "--delivery", "import"}, []stage{{first, true}, {changed, false}}},
	{"repository", false, []string{"--external", "--delivery", "repository"}, []stage{{first, true}, {changed, false}, {afresh, true}}},
	{"repository, layer cache", false, []string{"--external", "--delivery", "repository", "--cache-from", "%s/cache:1", "--cache-to", "type=registry,ref=%s/cache:1,mode=max"},
		[]stage{{first, true}, {afresh, true}}},
	{"aws", true, []string{"--external", "--delivery", "aws"}, []stage{{first, true}, {changed, false}, {afresh, true}}},
}

// row is one of the table, for one of the links.
type row struct {
	way, stage string
	mbits      float64
}

// bench is what a run needs.
type bench struct {
	dir     string // of everything
	program rig.Program
	island  *island
	shop    *shop
	base    string     // host of the registry of the base image
	links   [2]float64 // Mbit/s; 0 for no limit
	all     map[row][]took
}

func main() {
	rounds := flag.Int("rounds", 3, "rounds, in each of which all ways are measured in turn, over both links")
	mbits := flag.Float64("link", 100, "Mbit/s of the slow link from the machine of the job; the other is loopback without a limit. What comes back is not slowed")
	flag.Parse()
	if err := run(context.Background(), *rounds, *mbits); err != nil {
		fmt.Fprintln(os.Stderr, "where:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, rounds int, mbits float64) (err error) {
	b := &bench{links: [2]float64{0, mbits}, all: map[row][]took{}}
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
	before := rig.Load()
	for round := range rounds {
		for i := range b.links {
			if err := b.round(ctx, round, b.links[(i+round)%len(b.links)]); err != nil {
				return err
			}
		}
	}
	b.report(rounds, before)
	return nil
}

// round measures each way once over a link. Who goes first changes.
func (b *bench) round(ctx context.Context, round int, mbits float64) error {
	now := map[row]took{}
	for i := range ways {
		w := ways[(i+round)%len(ways)]
		if err := b.measure(ctx, w, mbits, now); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	for _, w := range ways {
		for _, s := range w.stages {
			at := row{w.name, s.name, mbits}
			t, peer := now[at], now[row{ways[0].name, peerOf(s.name), mbits}]
			t.bytesRatio, t.secondsRatio = float64(t.total())/float64(peer.total()), t.seconds/peer.seconds
			b.all[at] = append(b.all[at], t)
			fmt.Fprintf(os.Stderr, "round %d, %s, %s: %s: %d bytes, %.1f s\n", round+1, linkName(mbits), w.name, s.name, t.total(), t.seconds)
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

func linkName(mbits float64) string {
	if mbits == 0 {
		return "loopback"
	}
	return fmt.Sprintf("%g Mbit/s", mbits)
}

// report prints the medians, and their ratios to those of the peer of the same round
// and link. The bytes are those of both links.
func (b *bench) report(rounds int, before string) {
	fmt.Printf("source of %d files, %.1f MB; base image of %.1f MB; %d rounds; %s at the beginning, %s at the end\n\n",
		b.shop.files, float64(b.shop.bytes)/1e6, float64(baseSize)/1e6, rounds, before, rig.Load())
	fmt.Printf("| %-54s | MB sent | Rack + registry + APIs | to the Rack's |", "")
	for _, mbits := range b.links {
		fmt.Printf(" %21s | %20s |", linkName(mbits)+", s", "to the Rack's")
	}
	fmt.Printf("\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for _, w := range ways {
		for _, s := range w.stages {
			both := slices.Concat(b.all[row{w.name, s.name, b.links[0]}], b.all[row{w.name, s.name, b.links[1]}])
			sent := rig.Column(both, func(t took) float64 { return float64(t.total()) / 1e6 })
			var parts []any
			for _, name := range []string{toRack, toRegistry, toAPIs} {
				parts = append(parts, rig.Median(rig.Column(both, func(t took) float64 { return float64(t.sent[name]) / 1e6 })))
			}
			fmt.Printf("| %-54s | %7.2f | %22s | %13.2f |", w.name+": "+s.name, rig.Median(sent), fmt.Sprintf("%.2f + %.2f + %.2f", parts...),
				rig.Median(rig.Column(both, func(t took) float64 { return t.bytesRatio })))
			for _, mbits := range b.links {
				of := b.all[row{w.name, s.name, mbits}]
				fmt.Printf(" %21s | %20s |", spread(rig.Column(of, func(t took) float64 { return t.seconds })), spread(rig.Column(of, func(t took) float64 { return t.secondsRatio })))
			}
			fmt.Println()
		}
	}
}

// spread is the least, the middle and the largest of sorted numbers.
func spread(sorted []float64) string {
	return fmt.Sprintf("%.2f, %.2f, %.2f", sorted[0], rig.Median(sorted), sorted[len(sorted)-1])
}
