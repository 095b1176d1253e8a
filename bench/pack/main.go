//go:build linux

// Command pack measures how long it takes to send a source tree, against tar and pigz.
//
// Each round sends the tree twice over HTTP on loopback to a server that throws it away: once
// packed by internal/source, once by "tar | pigz". Each sending is a process of its own, whose peak
// memory the system tells. Rounds alternate, so that noise of the machine falls on both.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// waysToPack are what is compared, ours first.
var waysToPack = []string{"convox-ci", "tar|pigz"}

// settings are the flags.
type settings struct {
	tree   string
	rounds int
	level  int
	way    string
	url    string
}

func main() {
	var s settings
	flag.StringVar(&s.tree, "tree", "", "folder to send (default: a copy of the source of Go)")
	flag.IntVar(&s.rounds, "rounds", 9, "counted rounds, after one that is not")
	flag.IntVar(&s.level, "level", 3, "level of pigz; ours is fixed at 3")
	flag.StringVar(&s.way, "way", "", "send once in this way and print a sample (used by the program itself)")
	flag.StringVar(&s.url, "url", "", "where to send with -way")
	flag.Parse()
	run := compare
	if s.way != "" {
		run = sendOnce
	}
	if err := run(context.Background(), s); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

// sample is one sending.
type sample struct {
	Seconds float64 // from the start of packing to the reply
	CPU     float64 // seconds of processor, of all processes together
	Memory  int64   // peak resident bytes of the largest process
	Sent    int64   // bytes of the archive
	Input   int64   // bytes of the files in the tree; ours only
	Files   int     // ours only
}

// compare runs the rounds and prints the result.
func compare(ctx context.Context, s settings) error {
	if s.tree == "" {
		tree, err := copyOfGo(ctx)
		if tree != "" {
			defer os.RemoveAll(tree)
		}
		if err != nil {
			return err
		}
		s.tree = tree
	}
	url, stop, err := discard()
	if err != nil {
		return err
	}
	defer stop()
	s.url = url
	all := map[string][]sample{}
	for round := range s.rounds + 1 {
		for i := range waysToPack {
			s.way = waysToPack[(i+round)%len(waysToPack)]
			got, err := child(ctx, s)
			if err != nil {
				return fmt.Errorf("%s: %w", s.way, err)
			}
			if round > 0 { // the first one fills the page cache
				all[s.way] = append(all[s.way], got)
			}
		}
	}
	report(s, all)
	return nil
}

// copyOfGo copies the source of Go to a new folder, which it returns even on failure.
func copyOfGo(ctx context.Context) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOROOT: %w", err)
	}
	dir, err := os.MkdirTemp("", "bench-pack-")
	if err != nil {
		return "", err
	}
	return dir, os.CopyFS(dir, os.DirFS(filepath.Join(strings.TrimSpace(string(root)), "src")))
}

// discard serves uploads that go nowhere. The reply is how many bytes came.
func discard() (url string, stop func() error, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprint(w, n)
	})}
	go server.Serve(l) // ends with Close
	return "http://" + l.Addr().String() + "/object.tgz", server.Close, nil
}

// child sends the tree in a process of its own.
func child(ctx context.Context, s settings) (sample, error) {
	self, err := os.Executable()
	if err != nil {
		return sample{}, err
	}
	cmd := exec.CommandContext(ctx, self, "-way", s.way, "-url", s.url, "-tree", s.tree, "-level", fmt.Sprint(s.level))
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
	got.Memory = cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10 // Linux counts in KiB
	return got, nil
}

// report prints a table and the ratios.
func report(s settings, all map[string][]sample) {
	ours := all[waysToPack[0]]
	input := ours[0].Input
	fmt.Printf("tree %s: %d files, %.1f MB; %d rounds, pigz -%d\n\n", s.tree, ours[0].Files, mb(input), s.rounds, s.level)
	fmt.Printf("%-10s %8s %8s %8s %8s %8s %8s %8s\n", "", "min s", "median s", "max s", "CPU s", "MB/s", "sent MB", "peak MB")
	for _, way := range waysToPack {
		took := column(all[way], func(s sample) float64 { return s.Seconds })
		cpu := column(all[way], func(s sample) float64 { return s.CPU })
		memory := column(all[way], func(s sample) float64 { return float64(s.Memory) })
		fmt.Printf("%-10s %8.3f %8.3f %8.3f %8.3f %8.0f %8.1f %8.1f\n", way, took[0], median(took), took[len(took)-1],
			median(cpu), mb(input)/median(took), mb(all[way][0].Sent), memory[len(memory)-1]/1e6)
	}
	ratio := func(of func(sample) float64) float64 {
		return median(column(all[waysToPack[1]], of)) / median(column(ours, of))
	}
	fmt.Printf("\n%s takes %.2f times the time and %.2f times the processor of %s (ratios of medians)\n", waysToPack[1],
		ratio(func(s sample) float64 { return s.Seconds }), ratio(func(s sample) float64 { return s.CPU }), waysToPack[0])
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

// elapsed is the seconds since start.
func elapsed(start time.Time) float64 { return time.Since(start).Seconds() }
