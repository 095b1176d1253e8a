package workflow

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/source"
)

// upload packs the source into the body of the request, so that neither memory
// nor disk ever holds the archive. Each try packs anew.
func (j Job) upload(ctx context.Context, in BuildInputs, keep []string) (rack.Object, error) {
	ctx, done := limited(ctx, "upload-timeout", in.UploadTimeout)
	defer done()
	defer j.awaiting("the upload of " + string(in.Context))()
	defer j.Report.Begin("upload")()
	j.printf("Uploading %s", in.Context)
	began := time.Now()
	var last *packing
	warn := j.Log.Warn
	object, err := j.Rack.PutObject(ctx, in.App, objectKey(), func() (io.ReadCloser, error) {
		last = pack(ctx, string(in.Context), source.Options{Keep: keep, Warn: warn})
		warn = nil // a further try has nothing new to say
		return last, nil
	})
	if last != nil {
		<-last.done
	}
	if err != nil {
		return object, fmt.Errorf("upload: %w", err)
	}
	what := fmt.Sprintf("%s, %s, packed to %s", files(last.stats.Files), size(last.stats.Bytes), size(last.stats.Packed))
	j.Report.Upload(what)
	j.printf("Uploaded %s in %s", what, time.Since(began).Round(10*time.Millisecond))
	return object, nil
}

// packing is a pack that is made while it is read.
type packing struct {
	*io.PipeReader
	stats source.Stats
	done  chan struct{} // closed when stats are final
}

func pack(ctx context.Context, dir string, o source.Options) *packing {
	r, w := io.Pipe()
	p := &packing{PipeReader: r, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		var err error
		p.stats, err = source.Pack(ctx, w, dir, o)
		w.CloseWithError(err)
	}()
	return p
}

// objectKey is a key in the form of the official clients.
func objectKey() string {
	var b [15]byte
	rand.Read(b[:]) // never fails
	return "tmp/" + hex.EncodeToString(b[:]) + ".tgz"
}

func files(n int) string {
	if n == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", n)
}

// size prints a number of bytes for a person.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d bytes", n)
}
