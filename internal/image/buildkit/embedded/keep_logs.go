package embedded

import (
	"context"
	"errors"
	"os"
	"strconv"

	"github.com/moby/buildkit/util/progress/logs"
)

// maxLog is how much a step may print until the rest is left out, in bytes, with a
// line that says so. BuildKit holds all of it in memory as long as the build runs.
const maxLog = 32 << 20

// keepLogs has BuildKit keep the logs of steps, of which it leaves out what comes
// faster than 200 KiB a second or is longer than 2 MiB. It reads other limits from
// the environment alone, once, when something is printed first; this prints, so
// that no program which is started later finds them there.
func keepLogs(ctx context.Context) error {
	const speed, size = "BUILDKIT_STEP_LOG_MAX_SPEED", "BUILDKIT_STEP_LOG_MAX_SIZE"
	if err := errors.Join(os.Setenv(speed, "-1"), os.Setenv(size, strconv.Itoa(maxLog))); err != nil {
		return err
	}
	out, faults, _ := logs.NewLogStreams(ctx, false) // nobody follows the progress of ctx
	_, err := out.Write([]byte("\n"))
	return errors.Join(err, out.Close(), faults.Close(), os.Unsetenv(speed), os.Unsetenv(size))
}
