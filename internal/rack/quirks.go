package rack

import "regexp"

// This file holds what the generations of racks do differently.

// missingV3 is how a v3 rack says that a build or a release does not exist: the
// words of its cluster, with the id in lower case and the status 500.
var missingV3 = regexp.MustCompile(`^(?:builds|releases)\.convox\.com "[^"]*" not found$`)

// changesReleaseAtPromote tells whether an app shows a new release as its own
// when the promote begins (v3) and not when it has ended (v2).
func changesReleaseAtPromote(a App) bool { return a.Generation == "3" }
