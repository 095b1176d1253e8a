package rack

import (
	"archive/tar"
	"io"
	"strings"
)

// ArchiveLayout is how the images are in the archive of a build: the generations
// of racks cannot read each other's.
type ArchiveLayout string

// The layouts.
const (
	ArchiveUnknown ArchiveLayout = ""   // neither, as far as its entries tell
	ArchiveV2      ArchiveLayout = "v2" // all in one archive as "docker save" writes it
	ArchiveV3      ArchiveLayout = "v3" // one OCI archive for each service
)

// Layout tells how the images are in the archive. It reads as far as it must to
// know, that is to the first image, and keeps what it has read for Read; an
// archive that is not sound so far is an error now.
func (a *Archive) Layout() (ArchiveLayout, error) {
	for len(a.found.images) == 0 && a.step != nil && a.fault == nil && a.passed.Len() < maxAhead {
		a.advance()
	}
	for a.fault != nil && a.step != nil && a.passed.Len() < maxAhead {
		a.advance() // at its end may stand why
	}
	if a.err != nil && a.err != io.EOF {
		return ArchiveUnknown, a.err
	}
	return a.found.layout(), a.fault
}

// layout goes by the name of the first image: APP.BUILD.tar on v2, and
// SERVICE.BUILD.tar on v3, where a folder without a name comes before it. A
// service may be called as its app.
func (c *contents) layout() ArchiveLayout {
	if len(c.images) == 0 || c.build == nil {
		return ArchiveUnknown
	}
	of, ok := strings.CutSuffix(c.images[0], "."+c.build.ID+".tar")
	switch {
	case !ok:
		return ArchiveUnknown
	case c.perImage || of != c.build.App:
		return ArchiveV3
	}
	return ArchiveV2
}

// isMarkV3 tells the folder without a name that v3 racks put before the images.
func isMarkV3(h *tar.Header) bool {
	return h.Typeflag == tar.TypeDir && strings.Trim(h.Name, "./") == ""
}
