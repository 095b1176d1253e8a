package rackd

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/gorilla/mux"
	"github.com/klauspost/compress/gzip"

	"github.com/convox-ci/convox-ci/internal/rack"
)

const (
	maxImport  = 64 << 30 // bytes of an archive, unpacked: far above any app, below what would take a machine's disk unseen
	maxEntries = 1000     // of an archive: v3 racks have one for each service

	// maxRatio is what an archive may unpack to for each of its bytes once it is
	// long, as sources may: layers are packed a second time, which gains little.
	maxRatio  = 200
	ratioFrom = 256 << 20 // bytes: less fills no disk

	maxRecord = 4 << 20 // bytes of a record: its manifest is a part of it, escaped
)

// importBuild makes a new build of the archive of one. Nothing is recorded
// before all of the archive has been read and found whole.
func (s *Server) importBuild(w http.ResponseWriter, r *http.Request) error {
	app, err := s.app(r.Context(), mux.Vars(r)["app"])
	if err != nil {
		return err
	}
	work := filepath.Join(s.Spool, "work")
	if err := os.MkdirAll(work, 0o700); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(work, "import")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	a := &arrival{dir: dir, started: now(), images: s.Images, push: map[string]func(ref string) error{}}
	if err := a.receive(r.Context(), r.Body); err != nil {
		return err
	}
	b, err := s.admit(r.Context(), app.Name, a)
	if err != nil {
		return err
	}
	return render(w, b)
}

// arrival is a build on its way in.
type arrival struct {
	dir     string // for all that is kept of it
	started time.Time
	images  Images
	build   *rack.Build                       // as it was on the rack it comes from; nil until its record is met
	log     bool                              // there is one
	push    map[string]func(ref string) error // of the image of each service
}

// receive reads an archive to its end, where the checksum is.
func (a *arrival) receive(ctx context.Context, r io.Reader) error {
	packed := &bounded{r: r, left: maxImport}
	zip, err := gzip.NewReader(packed)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	defer zip.Close()
	plain := &bounded{r: zip, left: maxImport, packed: packed}
	in := tar.NewReader(plain)
	for n := 0; ; n++ {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && n == maxEntries {
			err = fmt.Errorf("archive is over the limit of %d entries", maxEntries)
		}
		if err == nil && h.Typeflag == tar.TypeReg {
			err = a.entry(ctx, h.Name, in)
		}
		if err != nil {
			return err
		}
	}
	if _, err := io.Copy(io.Discard, plain); err != nil {
		return err
	}
	if a.build == nil {
		return fmt.Errorf("unable to locate %s", rack.RecordEntry)
	}
	if len(a.push) == 0 {
		return errors.New("unable to locate manifest") // as a v2 rack says it of an archive without images
	}
	return nil
}

// entry takes one entry. Racks pass over those they do not know.
func (a *arrival) entry(ctx context.Context, name string, in io.Reader) error {
	switch {
	case name == rack.RecordEntry:
		data, err := io.ReadAll(io.LimitReader(in, maxRecord+1))
		if err == nil && len(data) > maxRecord {
			err = fmt.Errorf("%s is over the limit of %d bytes", rack.RecordEntry, maxRecord)
		}
		if err != nil {
			return err
		}
		a.build = &rack.Build{}
		if err := json.Unmarshal(data, a.build); err != nil {
			return fmt.Errorf("%s: %w", rack.RecordEntry, err)
		}
	case name == rack.LogEntry:
		a.log = true
		return a.keepLog(in)
	case strings.HasSuffix(name, rack.ImageSuffix):
		return a.load(ctx, name, in)
	}
	return nil
}

func (a *arrival) keepLog(in io.Reader) error {
	f, err := os.OpenFile(filepath.Join(a.dir, rack.LogEntry), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, in)
	return errors.Join(err, f.Close())
}

// serviceName is what the name of a service may be to be a part of a tag.
var serviceName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]*$`)

// load takes an archive of images. The service of an image is in its name, after
// the first colon and up to the first dot from there; of an image without a name,
// as v3 racks pack them, the entry has it.
func (a *arrival) load(ctx context.Context, entry string, in io.Reader) error {
	dir, err := os.MkdirTemp(a.dir, "images")
	if err != nil {
		return err
	}
	names, push, err := a.images.Load(ctx, in, dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		_, tag, ok := strings.Cut(name, ":")
		if name == "" {
			tag, ok = entry, true
		}
		service, _, dot := strings.Cut(tag, ".")
		if !ok || !dot || !serviceName.MatchString(service) {
			return fmt.Errorf("image %.80q is of no service: its name is not as in NAME:SERVICE.BUILD", name)
		}
		a.push[service] = func(ref string) error { return push(map[string]string{name: ref}) }
	}
	return nil
}

// admit pushes the images and records the build. Once they are pushed a client
// that leaves changes nothing.
func (s *Server) admit(ctx context.Context, app string, a *arrival) (rack.Build, error) {
	s.pushing.RLock()
	defer s.pushing.RUnlock()
	b := rack.Build{App: app, Description: a.build.Description, Manifest: a.build.Manifest, Status: rack.BuildCreated, Started: a.started}
	for {
		b.ID = rack.NewID("B")
		for service, push := range a.push {
			if err := push(s.Registry + "/" + app + ":" + service + "." + b.ID); err != nil {
				return b, err
			}
		}
		ctx := context.WithoutCancel(ctx)
		if err := s.storeArrivedLog(ctx, a, &b); err != nil {
			return b, err
		}
		b.Ended = now()
		if err := s.Stores.Builds.SwapBuild(ctx, rack.Build{}, b); isConflict(err) {
			continue
		} else if err != nil {
			return b, err
		}
		done, err := s.finish(ctx, app, b.ID)
		if err != nil { // nobody shall wait for its end
			_, failed := s.updateBuild(ctx, app, b.ID, func(b *rack.Build) { b.Status, b.Reason = rack.BuildFailed, reason(err) })
			err = errors.Join(err, failed)
		}
		return done, err
	}
}

// storeArrivedLog stores the log that came with a build. Without one the record
// says what a v2 rack says: where it was, which is right on the rack that the
// build comes from.
func (s *Server) storeArrivedLog(ctx context.Context, a *arrival, b *rack.Build) error {
	if !a.log {
		if owner, _, ok := parseObjectURL(a.build.Logs); ok && owner == b.App {
			b.Logs = a.build.Logs
		}
		return nil
	}
	f, err := os.Open(filepath.Join(a.dir, rack.LogEntry))
	if err != nil {
		return err
	}
	defer f.Close()
	b.Logs = objectURL(b.App, logKey(b.ID))
	return s.Stores.Objects.PutObject(ctx, b.App, logKey(b.ID), f)
}

// bounded is a stream that may not be longer than it should.
type bounded struct {
	r      io.Reader
	n      int64    // bytes so far
	left   int64    // bytes
	packed *bounded // what it is unpacked of; nil for nothing
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.n += int64(n)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("archive is over the limit of %d bytes", int64(maxImport))
	}
	if b.packed != nil && b.n > ratioFrom && b.n/maxRatio > b.packed.n {
		return 0, fmt.Errorf("archive is over the limit of %d bytes for each byte of it", maxRatio)
	}
	return n, err
}
