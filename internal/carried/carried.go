// Package carried is what the program carries of others.
//
// The whole program is within the small one. What only looks after builds
// elsewhere starts faster, and in less memory, without the builder and the
// registry of the embedded rack; so the binary that is released for Linux leaves
// them out (build tag carrier), carries the whole program packed, and turns into
// it when it is to be a rack.
//
// convox-env, which the embedded rack puts into images, is packed within the whole
// program (build tag wrapper), for every machine that images are made for.
//
// scripts/build makes such binaries. Without the tags there is nothing here: the
// program is whole by itself, and convox-env is a file beside it.
package carried

import "errors"

// ErrNone is the kind of the error for a program that is not carried.
var ErrNone = errors.New("there is no convox-env")
