package rack

import (
	"archive/tar"
	"encoding/json"
	"io"

	"github.com/klauspost/compress/gzip"
)

// Entries of the archive of a build, besides that of its images. The log is one
// that v2 racks pass over: they lose it.
const (
	RecordEntry = "build.json"
	LogEntry    = "build.log"
	ImageSuffix = ".tar" // of the entry of the images
)

// Parcel is a build on its way out, in the layout of v2 racks: see [Archive].
type Parcel struct {
	Build   Build
	Size    int64                 // of the archive of its images, in bytes
	Images  func(io.Writer) error // writes that archive, as "docker save" does
	Log     io.Reader             // nil if there is none
	LogSize int64                 // bytes of the log
}

// Write writes the archive. After an error its end is missing, so that nobody can
// take it for a whole one.
func (p Parcel) Write(w io.Writer) error {
	zip, err := gzip.NewWriterLevel(w, gzip.BestSpeed) // layers are compressed already
	if err != nil {
		return err
	}
	to := tar.NewWriter(zip)
	record, err := json.MarshalIndent(p.Build, "", "  ")
	if err != nil {
		return err
	}
	add := func(name string, size int64, write func(io.Writer) error) {
		if err == nil {
			err = to.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Size: size})
		}
		if err == nil {
			err = write(to)
		}
	}
	add(RecordEntry, int64(len(record)), func(w io.Writer) error { _, err := w.Write(record); return err })
	add(p.Build.App+"."+p.Build.ID+ImageSuffix, p.Size, p.Images)
	if p.Log != nil {
		add(LogEntry, p.LogSize, func(w io.Writer) error { _, err := io.Copy(w, p.Log); return err })
	}
	if err == nil {
		err = to.Close()
	}
	if err == nil {
		err = zip.Close()
	}
	return err
}
