//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/convox-ci/convox-ci/bench/rig"
	"github.com/convox-ci/convox-ci/internal/ci"
)

const (
	pieceSize   = 16 << 10 // bytes of one write: what the embedded rack sends in one message
	sampleSize  = 8 << 20  // bytes of log that are made, and then printed again and again
	manySecrets = 50
	secretEvery = 500 // lines between two with a secret in them
)

// took is one round of a way.
type took struct{ wall, cpu float64 } // seconds

// comparePipes prints one log through consoles with few and with many secrets, and through sed.
func comparePipes(ctx context.Context, s settings) error {
	runtime.GOMAXPROCS(1)
	secrets := make([]string, manySecrets)
	for i := range secrets {
		secrets[i] = token()
	}
	log := sampleLog(secrets)
	ways := []struct {
		name  string
		print func() (took, error)
	}{
		{"console, 1 secret", func() (took, error) { return throughConsole(log, secrets[:1], s.mb) }},
		{"console, 50 secrets", func() (took, error) { return throughConsole(log, secrets, s.mb) }},
		{"sed, 1 secret", func() (took, error) { return throughSed(ctx, log, secrets[:1], s.mb) }},
	}
	all := map[string][]took{}
	for round := range s.rounds + 1 {
		for i := range ways {
			way := ways[(i+round)%len(ways)]
			t, err := way.print()
			if err != nil {
				return fmt.Errorf("%s: %w", way.name, err)
			}
			if round > 0 {
				all[way.name] = append(all[way.name], t)
			}
		}
	}
	fmt.Printf("%d MB of build log, %d rounds, one processor; %s\n", s.mb, s.rounds, rig.Load())
	fmt.Printf("%-20s %12s %12s %16s\n", "", "median MB/s", "best MB/s", "MB/s of CPU")
	for _, way := range ways {
		wall := rig.Column(all[way.name], func(t took) float64 { return t.wall })
		cpu := rig.Column(all[way.name], func(t took) float64 { return t.cpu })
		fmt.Printf("%-20s %12.0f %12.0f %16.0f\n", way.name, float64(s.mb)/rig.Median(wall), float64(s.mb)/wall[0], float64(s.mb)/rig.Median(cpu))
	}
	return nil
}

// throughConsole prints so many MB as foreign text on GitHub.
func throughConsole(log []byte, secrets []string, mb int) (took, error) {
	console := ci.Open(ci.Run{System: ci.GitHub}, nil, io.Discard)
	for _, s := range secrets {
		console.Mask(s)
	}
	return measure(func() error {
		end := console.Group("Build log")
		defer end()
		return console.Foreign(func(w io.Writer) error { return repeat(w, log, mb) })
	}, syscall.RUSAGE_SELF)
}

// throughSed lets sed do as little as can be asked for: replace the secrets, and nothing else.
func throughSed(ctx context.Context, log []byte, secrets []string, mb int) (took, error) {
	var script strings.Builder
	for _, s := range secrets {
		fmt.Fprintf(&script, "s/%s/***/g\n", s)
	}
	return measure(func() error {
		sed := exec.CommandContext(ctx, "sed", "-e", script.String())
		in, err := sed.StdinPipe()
		if err != nil {
			return err
		}
		if err := sed.Start(); err != nil {
			return err
		}
		if err := repeat(in, log, mb); err != nil {
			return err
		}
		if err := in.Close(); err != nil {
			return err
		}
		return sed.Wait()
	}, syscall.RUSAGE_CHILDREN)
}

// repeat writes so many MB of log in pieces.
func repeat(w io.Writer, log []byte, mb int) error {
	for left := mb * 1e6; left > 0; {
		for piece := range slices.Chunk(log[:min(left, len(log))], pieceSize) {
			if _, err := w.Write(piece); err != nil {
				return err
			}
			left -= len(piece)
		}
	}
	return nil
}

// measure runs work, whose processor is counted for this process or for those it waited for.
func measure(work func() error, who int) (took, error) {
	before, start := usage(who), time.Now()
	err := work()
	return took{time.Since(start).Seconds(), usage(who) - before}, err
}

// usage is the seconds of processor so far; 0 if the system does not tell.
func usage(who int) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		return 0
	}
	return (time.Duration(u.Utime.Nano()) + time.Duration(u.Stime.Nano())).Seconds()
}

// sampleLog is like the output of builds: steps, packages, digests, progress, colours, and now and
// then a secret and what looks like a command.
func sampleLog(secrets []string) []byte {
	var b bytes.Buffer
	for line := 0; b.Len() < sampleSize; line++ {
		fmt.Fprintf(&b, "#%d [build %d/7] RUN npm ci --no-audit --prefix /src/app%d\n", line%40, line%7, line)
		fmt.Fprintf(&b, "#%d %d.%03d added %d packages from %d contributors in %ds\n", line%40, line%60, line%1000, line%1300, line%700, line%90)
		fmt.Fprintf(&b, "#%d sha256:%s%s %d.%02dMB / 48.51MB\n", line%40, token(), token(), line%48, line%100)
		fmt.Fprintf(&b, "\x1b[33mwarning\x1b[0m src/module%d/file.ts:%d:7: 'value' is declared but its value is never read.\n", line%90, line%400)
		switch line % secretEvery {
		case 0:
			fmt.Fprintf(&b, "##[group]token=%s\n", secrets[rand.IntN(len(secrets))])
		case 1:
			fmt.Fprintf(&b, "::set-output name=key::%s\n", secrets[rand.IntN(len(secrets))])
		}
	}
	return b.Bytes()
}

// token is 32 hexadecimal digits, which many secrets are.
func token() string {
	var b [16]byte
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return hex.EncodeToString(b[:])
}
