//go:build linux

package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// report prints a table of the ways.
func report(s settings, all map[string][]sample, ways ...string) {
	ours := all[ways[0]][0]
	fmt.Printf("tree %s: %d files, %.1f MB; %d rounds; %s\n\n", s.tree, ours.Files, mb(ours.Input), s.rounds, load())
	fmt.Printf("%-14s %8s %8s %8s %8s %8s %8s %8s\n", "", "min s", "median s", "max s", "CPU s", "MB/s", "sent MB", "peak MB")
	for _, way := range ways {
		took := column(all[way], seconds)
		memory := column(all[way], func(s sample) float64 { return float64(s.Memory) })
		fmt.Printf("%-14s %8.3f %8.3f %8.3f %8.3f %8.0f %8.1f %8.1f\n", way, took[0], median(took), took[len(took)-1],
			median(column(all[way], processor)), mb(ours.Input)/median(took), mb(all[way][0].Sent), memory[len(memory)-1]/1e6)
	}
}

// load is what the machine has to do, as the kernel says.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err.Error()
	}
	return "load " + strings.Join(strings.Fields(string(text))[:3], " ")
}

func seconds(s sample) float64   { return s.Seconds }
func processor(s sample) float64 { return s.CPU }

// ratio compares the medians of a number.
func ratio(a, b []sample, of func(sample) float64) float64 {
	return median(column(a, of)) / median(column(b, of))
}

// column is one number of every sample, sorted.
func column(all []sample, of func(sample) float64) []float64 {
	var column []float64
	for _, one := range all {
		column = append(column, of(one))
	}
	slices.Sort(column)
	return column
}

// median is the middle of sorted numbers.
func median(sorted []float64) float64 {
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

func mb(n int64) float64 { return float64(n) / 1e6 }
