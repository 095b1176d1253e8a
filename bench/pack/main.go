//go:build linux

// Command pack measures how long it takes to pack and send a source tree, and in how much memory:
// against tar and pigz, over a slow link, and at each level of compression.
//
// Everything measured is a process of its own. Rounds alternate between what is compared, and also
// swap who goes first, so that noise of the machine falls on all.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/convox-ci/convox-ci/bench/rig"
)

// The ways, by the names that the reports have.
const (
	wayOurs  = "convox-ci"     // packed and sent at the same time
	wayPeer  = "tar|pigz"      // packed into /dev/null by tar and pigz -p2 -6
	wayPack  = "packing alone" // by us, into nothing
	waySend  = "sending alone" // of a file packed before
	maxLevel = 6               // of compression, in the table: beyond it time grows and bytes hardly shrink
)

// settings are the flags.
type settings struct {
	tree   string
	copies int
	rounds int
	link   float64
	levels bool

	way, url, packed string // of one run, for the process that does it
	program          string // that is run
}

func main() {
	var s settings
	flag.StringVar(&s.tree, "tree", "", "folder to send (default: copies of the source of Go)")
	flag.IntVar(&s.copies, "copies", 3, "how many copies, without -tree")
	flag.IntVar(&s.rounds, "rounds", 9, "counted rounds, after one that is not")
	flag.Float64Var(&s.link, "link", 0, "send over a link of that many Mbit/s, against packing and sending alone")
	flag.BoolVar(&s.levels, "levels", false, "compare the levels of compression")
	flag.StringVar(&s.way, "way", "", "run once in this way and print a sample (used by the program itself)")
	flag.StringVar(&s.url, "url", "", "where to send with -way")
	flag.StringVar(&s.packed, "packed", "", "what to send with -way, or where to pack to")
	flag.Parse()
	if err := run(context.Background(), s); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings) (err error) {
	if s.way != "" {
		return once(ctx, s)
	}
	if s.program, err = os.Executable(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-pack-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if s.tree == "" {
		if s.tree, err = copiesOfGo(ctx, dir, s.copies); err != nil {
			return err
		}
	}
	switch {
	case s.levels:
		return compareLevels(ctx, s, dir)
	case s.link > 0:
		return compareLink(ctx, s, dir)
	}
	return comparePeer(ctx, s)
}

// comparePeer sends over loopback, while tar and pigz only pack.
func comparePeer(ctx context.Context, s settings) error {
	all, err := measure(ctx, s, wayOurs, wayPeer)
	if err != nil {
		return err
	}
	report(s, all, wayOurs, wayPeer)
	fmt.Printf("\nours, sent, takes %.2f of the time of tar and pigz alone, and %.2f of their processor (ratios of medians)\n",
		ratio(all[wayOurs], all[wayPeer], seconds), ratio(all[wayOurs], all[wayPeer], processor))
	return nil
}

// compareLink sends over a slow link, against the two halves of that.
func compareLink(ctx context.Context, s settings, dir string) error {
	var err error
	if s.packed, err = packedFile(ctx, s, dir); err != nil {
		return err
	}
	all, err := measure(ctx, s, wayOurs, wayPack, waySend)
	if err != nil {
		return err
	}
	report(s, all, wayOurs, wayPack, waySend)
	slower := max(rig.Median(rig.Column(all[wayPack], seconds)), rig.Median(rig.Column(all[waySend], seconds)))
	fmt.Printf("\nat %g Mbit/s, both together take %.3f of the slower of the two alone (medians)\n",
		s.link, rig.Median(rig.Column(all[wayOurs], seconds))/slower)
	return nil
}

// measure runs the rounds, after one that fills the page cache.
func measure(ctx context.Context, s settings, ways ...string) (map[string][]sample, error) {
	url, stop, err := discard(s.link)
	if err != nil {
		return nil, err
	}
	defer stop()
	s.url = url
	all := map[string][]sample{}
	for round := range s.rounds + 1 {
		for i := range ways {
			s.way = ways[(i+round)%len(ways)]
			got, err := child(ctx, s)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.way, err)
			}
			if round > 0 {
				all[s.way] = append(all[s.way], got)
			}
		}
	}
	return all, nil
}

// packedFile packs the tree into a file.
func packedFile(ctx context.Context, s settings, dir string) (string, error) {
	s.way, s.packed = wayPack, dir+".tgz"
	_, err := child(ctx, s)
	return s.packed, err
}

// child does one way in a process of its own.
func child(ctx context.Context, s settings) (sample, error) {
	cmd := exec.CommandContext(ctx, s.program, "-way", s.way, "-url", s.url, "-tree", s.tree, "-packed", s.packed)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return sample{}, err
	}
	var got sample
	if err := json.Unmarshal(out, &got); err != nil {
		return sample{}, err
	}
	// The system adds the processes that the child has waited for: tar and pigz.
	got.CPU = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	return got, nil
}

// elapsed is the seconds since start.
func elapsed(start time.Time) float64 { return time.Since(start).Seconds() }
