// Command convox-ci builds and deploys apps to Convox Racks from any CI.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/convox-ci/convox-ci/internal/app"
)

func main() {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2) // a second one ends the process at once
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) { // whoever starts us may have chosen so, as nohup does
			signal.Notify(signals, s)
		}
	}
	go func() {
		first := app.Signal((<-signals).(syscall.Signal))
		cancel(first)
		<-signals
		os.Exit(first.Status())
	}()
	os.Exit(app.Main(ctx, arguments(os.Args), os.Environ(), app.Streams{In: piped(os.Stdin), Out: os.Stdout, Err: os.Stderr}))
}

// arguments are those of the program. Called by a name of the image, such as
// convox-ci-deploy, it is that verb: an Action names its program by one path without
// arguments, and in a variable of the environment a workflow could put another verb.
// Any other name is only what somebody has called the file.
func arguments(argv []string) []string {
	switch verb, _ := strings.CutPrefix(filepath.Base(argv[0]), "convox-ci-"); verb {
	case "build", "deploy", "promote", "run", "login", "post":
		return append([]string{verb}, argv[1:]...)
	}
	return argv[1:]
}

// piped is a file that was opened for this process to read, a pipe or a file on
// disk; else nil. A terminal, or what a CI system leaves in its place, is not read.
func piped(f *os.File) io.Reader {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeNamedPipe == 0 && !info.Mode().IsRegular() {
		return nil
	}
	return f
}
