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
	"time"

	"github.com/convox-ci/convox-ci/internal/source"
)

// sendOnce sends the tree in one way and prints the sample as JSON.
func sendOnce(ctx context.Context, s settings) error {
	send := sendPacked
	if s.way != waysToPack[0] {
		send = sendPiped
	}
	got, err := send(ctx, s)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(got)
}

// sendPacked packs and sends in this process.
func sendPacked(ctx context.Context, s settings) (sample, error) {
	start := time.Now()
	r, w := io.Pipe()
	stats := make(chan source.Stats, 1)
	go func() {
		got, err := source.Pack(ctx, w, s.tree, source.Options{})
		w.CloseWithError(err)
		stats <- got
	}()
	sent, err := put(ctx, s.url, r)
	seconds := elapsed(start)
	if err != nil {
		return sample{}, err
	}
	got := <-stats
	if got.Packed != sent {
		return sample{}, fmt.Errorf("packed %d bytes, %d arrived", got.Packed, sent)
	}
	return sample{Seconds: seconds, Sent: sent, Input: got.Bytes, Files: got.Files}, nil
}

// sendPiped lets tar and pigz pack, and sends what comes out.
func sendPiped(ctx context.Context, s settings) (sample, error) {
	start := time.Now()
	tar := exec.CommandContext(ctx, "tar", "-C", s.tree, "-cf", "-", ".")
	pigz := exec.CommandContext(ctx, "pigz", fmt.Sprintf("-%d", s.level))
	tar.Stderr, pigz.Stderr = os.Stderr, os.Stderr
	r, w, err := os.Pipe()
	if err != nil {
		return sample{}, err
	}
	tar.Stdout, pigz.Stdin = w, r
	out, err := pigz.StdoutPipe()
	if err != nil {
		return sample{}, err
	}
	if err := errors.Join(tar.Start(), pigz.Start()); err != nil {
		return sample{}, err
	}
	if err := errors.Join(r.Close(), w.Close()); err != nil { // only the two hold them now
		return sample{}, err
	}
	sent, err := put(ctx, s.url, out)
	seconds := elapsed(start)
	if err := errors.Join(err, tar.Wait(), pigz.Wait()); err != nil {
		return sample{}, err
	}
	return sample{Seconds: seconds, Sent: sent}, nil
}

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
