//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/convox-ci/convox-ci/internal/source"
)

// sample is one run of a way.
type sample struct {
	Seconds float64 // from its start to the end of packing, or to the server's reply
	CPU     float64 // seconds of processor, of all processes together
	Memory  int64   // peak resident bytes of the largest process
	Sent    int64   // bytes of the archive
	Input   int64   // bytes of the files in the tree; ours only
	Files   int     // ours only
}

// once runs one way and prints the sample as JSON.
func once(ctx context.Context, s settings) error {
	way := map[string]func(context.Context, settings) (sample, error){
		wayOurs: packAndSend, wayPeer: peer, wayPack: packOnly, waySend: sendOnly,
	}[s.way]
	if way == nil {
		return fmt.Errorf("no way %q", s.way)
	}
	start := time.Now()
	got, err := way(ctx, s)
	got.Seconds = elapsed(start)
	if err != nil {
		return err
	}
	if got.Memory == 0 {
		if got.Memory, err = peak(); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(got)
}

// peak is the most memory, in bytes, that was resident in this process.
func peak() (int64, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	var kib int64
	_, err = fmt.Sscan(rest, &kib)
	return kib << 10, err
}

// packAndSend packs and sends in this process.
func packAndSend(ctx context.Context, s settings) (sample, error) {
	r, w := io.Pipe()
	stats := make(chan source.Stats, 1)
	go func() {
		got, err := source.Pack(ctx, w, s.tree, source.Options{})
		w.CloseWithError(err)
		stats <- got
	}()
	sent, err := put(ctx, s.url, r)
	if err != nil {
		return sample{}, err
	}
	got := <-stats
	if got.Packed != sent {
		return sample{}, fmt.Errorf("packed %d bytes, %d arrived", got.Packed, sent)
	}
	return sample{Sent: sent, Input: got.Bytes, Files: got.Files}, nil
}

// packOnly packs into a file, or into nothing.
func packOnly(ctx context.Context, s settings) (sample, error) {
	w := io.Discard
	if s.packed != "" && s.url == "" {
		f, err := os.Create(s.packed)
		if err != nil {
			return sample{}, err
		}
		defer f.Close()
		w = f
	}
	got, err := source.Pack(ctx, w, s.tree, source.Options{})
	return sample{Sent: got.Packed, Input: got.Bytes, Files: got.Files}, err
}

// sendOnly sends what was packed before.
func sendOnly(ctx context.Context, s settings) (sample, error) {
	f, err := os.Open(s.packed)
	if err != nil {
		return sample{}, err
	}
	defer f.Close()
	sent, err := put(ctx, s.url, f)
	return sample{Sent: sent}, err
}

// peer lets tar and pigz pack into nothing. Its bytes are not counted: that would take a process
// more.
func peer(ctx context.Context, s settings) (sample, error) {
	tar := exec.CommandContext(ctx, "tar", "-C", s.tree, "-cf", "-", ".")
	pigz := exec.CommandContext(ctx, "pigz", "-p2", "-6")
	tar.Stderr, pigz.Stderr = os.Stderr, os.Stderr
	r, w, err := os.Pipe()
	if err != nil {
		return sample{}, err
	}
	tar.Stdout, pigz.Stdin = w, r // pigz without an output writes to /dev/null
	if err := errors.Join(tar.Start(), pigz.Start(), r.Close(), w.Close()); err != nil {
		return sample{}, err // only the two hold the pipe now
	}
	if err := errors.Join(tar.Wait(), pigz.Wait()); err != nil {
		return sample{}, err
	}
	largest := max(rss(tar), rss(pigz))
	return sample{Memory: largest}, nil
}

// rss is the peak resident bytes of a process that has ended. Linux counts in KiB.
func rss(c *exec.Cmd) int64 { return c.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10 }

// put sends body and returns how many bytes the server got.
func put(ctx context.Context, url string, body io.Reader) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, body)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("server answered %s", res.Status)
	}
	var n int64
	_, err = fmt.Fscan(res.Body, &n)
	return n, err
}
