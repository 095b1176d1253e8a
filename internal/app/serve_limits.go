package app

import (
	"strconv"
	"time"

	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/options"
)

// BuildLimits are the inputs of rack serve about what builds may take.
type BuildLimits struct {
	Builds  int           `env:"builds-at-once" usage:"how many builds run at once; apps take turns (default: 2)"`
	CPU     int           `env:"build-cpu" usage:"limit for each build, in 1/1024 of a CPU, like the rack parameter BuildCpu (default: none)"`
	Memory  int           `env:"build-memory" usage:"limit for each build, in MB, like the rack parameter BuildMemory (default: none)"`
	Timeout time.Duration `env:"build-timeout" usage:"limit for each build, once it does not wait for others any more (default: none)"`
}

// wrongLimits finds limits under which nothing could be built.
func (in *BuildLimits) wrongLimits() (found []options.Problem) {
	for _, l := range []struct {
		input        string
		value, least int
	}{
		{"build-cpu", in.CPU, image.LeastCPU}, {"build-memory", in.Memory, image.LeastMemory},
	} {
		if l.value != 0 && l.value < l.least {
			found = append(found, options.Problem{Input: l.input, Value: strconv.Itoa(l.value), Message: "is too little",
				Accepted: []string{"a number from " + strconv.Itoa(l.least) + " on"}})
		}
	}
	return found
}
