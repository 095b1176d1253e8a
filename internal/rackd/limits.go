package rackd

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/convox-ci/convox-ci/internal/image"
)

// Limits say how much builds may take. The zero value is [DefaultBuilds] at once,
// which may take all there is.
type Limits struct {
	AtOnce int           // how many builds run at once; below 1 it is DefaultBuilds
	Time   time.Duration // of one build from the end of its waiting to that of its last push; 0 for none
	Build  image.Limits  // of one build; parameters of the rack may lower them
}

// tooLongError ends a build that has run for as long as it may.
type tooLongError struct{ limit time.Duration }

func (e tooLongError) Error() string {
	return fmt.Sprintf("the build ran for longer than a build may on this rack (%s)", e.limit)
}

// timed bounds the work of a build.
func (s *Server) timed(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.Limits.Time <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, s.Limits.Time, tooLongError{s.Limits.Time})
}

// buildLimits are those of the configuration, lowered by the parameters of the rack
// that were ever set: by their defaults a machine of its own is sized, a far
// smaller one than this.
func (s *Server) buildLimits(ctx context.Context, log io.Writer) image.Limits {
	set, err := s.Stores.Parameters.Parameters(ctx)
	if err != nil {
		fmt.Fprintf(log, "WARNING: building without the limits of the rack's parameters: %v\n", err)
	}
	cpu, memory := buildCPU, buildMemory
	if set[buildMethod] == fargate {
		cpu, memory = fargateCPU, fargateMemory
	}
	return image.Limits{
		CPU:    lowered(s.Limits.Build.CPU, set, cpu, image.LeastCPU, log),
		Memory: lowered(s.Limits.Build.Memory, set, memory, image.LeastMemory, log),
	}
}

// lowered is the smaller of a limit and a parameter, where 0 is none.
func lowered(limit int, set map[string]string, name string, least int, log io.Writer) int {
	value := set[name]
	if value == "" {
		return limit
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < least {
		fmt.Fprintf(log, "WARNING: the parameter %s limits nothing: %q is not a whole number from %d on\n", name, value, least)
		return limit
	}
	if limit > 0 {
		return min(limit, n)
	}
	return n
}
