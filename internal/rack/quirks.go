package rack

import "regexp"

// This file holds what the generations of racks do differently.

// missingV3 is how a v3 rack says that a build or a release does not exist: the
// words of its cluster, with the id in lower case and the status 500.
var missingV3 = regexp.MustCompile(`^(?:builds|releases)\.convox\.com "[^"]*" not found$`)

// versionV2 is the form of the versions of v2 racks, and of racks that take
// themselves for such.
var versionV2 = regexp.MustCompile(`^[0-9]{14}$`)

// Takes tells whether a rack can import the archive of a build. A v2 rack refuses
// one of v3 after all of it was sent; a v3 rack makes a build without images of
// one of v2, and calls it complete. Embedded racks take both; so does, as far as
// is known, a rack of no known generation, and any rack an unknown layout.
func (s System) Takes(l ArchiveLayout) bool {
	switch {
	case l == ArchiveUnknown || s.Provider == "local" && s.Type == "local":
		return true
	case versionV2.MatchString(s.Version):
		return l == ArchiveV2
	case versionV3.MatchString(s.Version):
		return l == ArchiveV3
	}
	return true
}

// versionV3 is the form of the versions of v3 racks.
var versionV3 = regexp.MustCompile(`^3\.[0-9]+\.`)

// changesReleaseAtPromote tells whether an app shows a new release as its own
// when the promote begins (v3) and not when it has ended (v2).
func changesReleaseAtPromote(a App) bool { return a.Generation == "3" }
