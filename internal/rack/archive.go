package rack

import (
	"archive/tar"
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
)

const (
	archiveAhead  = 64 << 10 // bytes read at once, and kept until they are asked for
	archiveStep   = 32 << 10 // bytes unpacked at once
	tarBlock      = 512      // bytes of the unit of a tar stream, which two zero ones end
	maxRecord     = 8 << 20  // bytes of the record in an archive: it has a manifest in it
	maxAhead      = 16 << 20 // bytes of an archive that may come before its first image is met: its record and a log
	maxEntryNames = 1000     // images of an archive: v3 racks have one for each service
)

// Archive is the archive of a build on its way from one place to another: it
// gives the bytes as they are, and ends well only if they are a whole archive. It
// needs the same memory for archives of any size.
//
// An archive of a build is gzip around a tar stream with the record of the build
// as build.json and the images in one file or several.
type Archive struct {
	from   io.Reader
	err    error         // of from, io.EOF at its end
	passed bytes.Buffer  // read and not asked for yet
	end    []byte        // the last bytes read, for the words of a rack
	in     *bufio.Reader // over an archiveSource
	plain  *counted      // what is in gzip
	tar    *tar.Reader
	at     int64        // place in plain where the last entry ended, before it is filled up
	step   func() error // goes on for a bit; nil when there is nothing more to do
	fault  error        // what is wrong with it
	found  contents
}

// contents is what was found in an archive.
type contents struct {
	build    *Build
	images   []string // the files: one of all images on a v2 rack, one for each service on a v3 rack
	perImage bool     // the mark of a v3 archive was met
}

// CheckArchive makes an [Archive] of the bytes of one. It starts no goroutine: an
// archive that is not read on can be forgotten.
func CheckArchive(r io.Reader) *Archive {
	a := &Archive{from: r}
	a.in = bufio.NewReaderSize(archiveSource{a}, archiveAhead)
	a.step = a.open
	return a
}

// Read gives the next bytes of the archive. After the last it returns io.EOF if
// the archive was sound and an [*ArchiveError] if it was not; an error of the
// reader that it comes from is returned as it is.
func (a *Archive) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for a.passed.Len() == 0 && a.step != nil {
		a.advance()
	}
	if a.passed.Len() > 0 {
		return a.passed.Read(p)
	}
	if a.err != nil && a.err != io.EOF {
		return 0, a.err
	}
	if a.fault != nil {
		return 0, a.fault
	}
	return 0, io.EOF
}

// Close closes the reader that the archive comes from, if that can be closed.
func (a *Archive) Close() error {
	if c, ok := a.from.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// Build is the record of the build as the rack knew it that the archive comes
// from; the zero one before it was met.
func (a *Archive) Build() Build {
	if a.found.build == nil {
		return Build{}
	}
	return *a.found.build
}

// advance takes a step. What is wrong ends the checking and not the reading: the
// bytes of an archive that is not sound are given to the last one too, since
// only at the end may stand why.
func (a *Archive) advance() {
	switch err := a.step(); {
	case err == nil:
	case errors.Is(err, io.EOF):
		a.step = nil
	default:
		a.fault, a.step = err, a.rest
	}
}

// archiveSource reads what the archive comes from and remembers what it was.
type archiveSource struct{ *Archive }

func (s archiveSource) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.from.Read(p)
	s.passed.Write(p[:n])
	s.end = append(s.end, p[max(0, n-maxWords):n]...)
	s.end = s.end[max(0, len(s.end)-maxWords):]
	s.err = err
	return n, err
}

// counted counts what is read.
type counted struct {
	*gzip.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

func (a *Archive) open() error {
	zip, err := gzip.NewReader(a.in)
	if err != nil {
		if errors.Is(err, io.EOF) {
			return a.wrong("is empty")
		}
		return a.torn(err, "is not compressed by gzip")
	}
	zip.Multistream(false) // so that what follows it can be told
	a.plain = &counted{Reader: zip}
	a.tar = tar.NewReader(a.plain)
	a.step = a.entry
	return nil
}

// entry takes the header of the next entry.
func (a *Archive) entry() error {
	a.at = a.plain.n
	h, err := a.tar.Next()
	if errors.Is(err, io.EOF) {
		if a.plain.n < (a.at+tarBlock-1)/tarBlock*tarBlock+2*tarBlock {
			return a.wrong("ends too early")
		}
		a.step = a.padding
		return nil
	}
	if err != nil {
		return a.torn(err, "is damaged")
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") { // would be unpacked to any size
			return a.wrong("holds a sparse file, which no rack makes")
		}
	}
	if h.Typeflag == tar.TypeReg && h.Name == "build.json" {
		a.step = a.record
		return nil
	}
	a.found.perImage = a.found.perImage || isMarkV3(h)
	if h.Typeflag == tar.TypeReg && strings.HasSuffix(h.Name, ".tar") {
		if len(a.found.images) == maxEntryNames {
			return a.wrong(fmt.Sprintf("has more than %d files with images", maxEntryNames))
		}
		a.found.images = append(a.found.images, h.Name)
	}
	a.step = a.content
	return nil
}

// record reads the record of the build.
func (a *Archive) record() error {
	data, err := io.ReadAll(io.LimitReader(a.tar, maxRecord+1))
	if err != nil {
		return a.torn(err, "is damaged")
	}
	var b Build
	if len(data) > maxRecord || json.Unmarshal(data, &b) != nil {
		return a.wrong("has a build.json that is not the record of a build")
	}
	a.found.build = &b
	a.step = a.entry
	return nil
}

// content passes over some of the contents of an entry.
func (a *Archive) content() error {
	_, err := io.CopyN(io.Discard, a.tar, archiveStep)
	if errors.Is(err, io.EOF) {
		a.step = a.entry
		return nil
	}
	if err != nil {
		return a.torn(err, "is damaged")
	}
	return nil
}

// padding reads on after the end of the tar stream, where programs fill it up
// with zeros, to the checksum of gzip.
func (a *Archive) padding() error {
	p := make([]byte, archiveStep)
	n, err := a.plain.Read(p)
	if strings.Trim(string(p[:n]), "\x00") != "" {
		return a.wrong("goes on after its end")
	}
	if errors.Is(err, io.EOF) {
		a.step = a.verdict
		return nil
	}
	if err != nil {
		return a.torn(err, "is damaged")
	}
	return nil
}

// verdict judges an archive that was read whole.
func (a *Archive) verdict() error {
	if _, err := a.in.Peek(1); err == nil {
		return a.wrong("goes on after its end")
	}
	switch {
	case a.found.build == nil:
		return a.wrong("has no build.json")
	case len(a.found.images) == 0:
		return a.wrong("has no images")
	}
	return io.EOF
}

// rest reads what is left of an archive that is not sound, and looks whether it
// ends in the words of a rack.
func (a *Archive) rest() error {
	if a.err == nil {
		if _, err := io.CopyN(io.Discard, a.in, archiveAhead); err == nil {
			return nil
		}
	}
	var e *ArchiveError
	if errors.As(a.fault, &e) {
		e.Said = words(a.end)
	}
	return io.EOF
}
