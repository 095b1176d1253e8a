package rack

import (
	"archive/tar"
	"cmp"
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

// Parcel is a build on its way out, in the layout of one of the generations of
// racks: see [Archive].
type Parcel struct {
	Build   Build
	Images  []Packed
	Log     io.Reader // nil if there is none
	LogSize int64     // bytes of the log
}

// Packed is an archive of images in a parcel. In that of a v2 rack there is one,
// with the images of all services, as "docker save" writes it; in that of a v3 rack
// one for each service, an OCI image layout.
type Packed struct {
	Service string // whose image it is, "" for those of all
	Size    int64  // of the archive, in bytes
	Write   func(io.Writer) error
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
	for i, packed := range p.Images {
		if packed.Service != "" && i == 0 && err == nil {
			err = to.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Mode: 0o700}) // the mark of the layout: see isMarkV3
		}
		add(cmp.Or(packed.Service, p.Build.App)+"."+p.Build.ID+ImageSuffix, packed.Size, packed.Write)
	}
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
