package buildkit

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"

	gateway "github.com/moby/buildkit/frontend/gateway/pb"

	"github.com/convox-ci/convox-ci/internal/image"
)

const (
	// cpuPeriod is how long a time the kernel shares out between programs at once,
	// in microseconds: its own default.
	cpuPeriod = 100_000
	// killed is the exit status of a program that the kernel has ended.
	killed = 128 + 9
)

// bounds are the limits of a build, and how they are held.
type bounds struct {
	image.Limits
	whole bool // for all steps together, not for each alone
}

// limit asks for the limits of a spec. They are no part of what a step is known by
// in the cache. Older daemons do not know the words, and pass them over.
func limit(attrs map[string]string, l image.Limits) {
	if l.Memory > 0 {
		attrs["memory"] = strconv.Itoa(l.Memory << 20)
	}
	if l.CPU > 0 {
		attrs["cpuperiod"] = strconv.Itoa(cpuPeriod)
		attrs["cpuquota"] = strconv.Itoa(l.CPU * cpuPeriod / 1024)
	}
}

// hungry is the error of a build in plain words. If a step was killed under a limit
// they say what may have done it: nothing else in the log of the build would. Only
// where the kernel counts such cases (cgroup v2) a daemon knows, and says so in the
// words of the system.
func hungry(err error, b bounds) error {
	var exit *gateway.ExitError
	if b.Memory == 0 || !errors.As(err, &exit) {
		return plain(err)
	}
	if exit.ExitCode != killed && !strings.Contains(err.Error(), syscall.ENOMEM.Error()) {
		return plain(err)
	}
	if b.whole {
		return fmt.Errorf("%w: a step is killed when the build needs more memory than its limit of %d MB", plain(err), b.Memory)
	}
	return fmt.Errorf("%w: a step that needs more memory than its limit of %d MB is killed", plain(err), b.Memory)
}
