//go:build linux

package main

import (
	"fmt"

	"github.com/convox-ci/convox-ci/bench/rig"
)

// report prints a table of the ways.
func report(s settings, all map[string][]sample, ways ...string) {
	ours := all[ways[0]][0]
	fmt.Printf("tree %s: %d files, %.1f MB; %d rounds; %s\n\n", s.tree, ours.Files, mb(ours.Input), s.rounds, rig.Load())
	fmt.Printf("%-14s %8s %8s %8s %8s %8s %8s %8s\n", "", "min s", "median s", "max s", "CPU s", "MB/s", "sent MB", "peak MB")
	for _, way := range ways {
		took := rig.Column(all[way], seconds)
		memory := rig.Column(all[way], func(s sample) float64 { return float64(s.Memory) })
		fmt.Printf("%-14s %8.3f %8.3f %8.3f %8.3f %8.0f %8.1f %8.1f\n", way, took[0], rig.Median(took), took[len(took)-1],
			rig.Median(rig.Column(all[way], processor)), mb(ours.Input)/rig.Median(took), mb(all[way][0].Sent), memory[len(memory)-1]/1e6)
	}
}

func seconds(s sample) float64   { return s.Seconds }
func processor(s sample) float64 { return s.CPU }

// ratio compares the medians of a number.
func ratio(a, b []sample, of func(sample) float64) float64 {
	return rig.Median(rig.Column(a, of)) / rig.Median(rig.Column(b, of))
}

func mb(n int64) float64 { return float64(n) / 1e6 }
