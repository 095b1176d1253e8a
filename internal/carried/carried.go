// Package carried is the whole program within the small one. What only looks
// after builds elsewhere starts faster, and in less memory, without the builder
// and the registry of the embedded rack; so the binary that is released for Linux
// leaves them out (build tag carrier), carries the whole program packed, and turns
// into it when it is to be a rack.
//
// scripts/build makes such a binary. Without the tag there is nothing here, and
// the program is whole by itself.
package carried
