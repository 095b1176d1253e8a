//go:build linux

// Command logs measures the way of a build log to a person: how fast it is masked, made harmless and
// printed on one processor, against sed, and in how much memory a very long one is followed from a
// rack.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
)

// settings are the flags.
type settings struct {
	mb     int
	rounds int
	stream int
	url    string
}

func main() {
	var s settings
	flag.IntVar(&s.mb, "mb", 200, "length of the log that is printed, in MB")
	flag.IntVar(&s.rounds, "rounds", 9, "counted rounds, after one that is not")
	flag.IntVar(&s.stream, "stream", 0, "follow a log of that many MB from a rack instead")
	flag.StringVar(&s.url, "url", "", "the rack to follow one from (used by the program itself)")
	flag.Parse()
	run := comparePipes
	switch {
	case s.url != "":
		run = follow
	case s.stream > 0:
		run = serveLog
	}
	if err := run(context.Background(), s); err != nil {
		fmt.Fprintln(os.Stderr, "logs:", err)
		os.Exit(1)
	}
}
