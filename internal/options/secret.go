package options

import (
	"fmt"
	"io"
)

// stars is what a secret looks like.
const stars = "***"

// Secret is text that no print, log or encoding shows: each of them gives three
// stars, also for an empty one. Keep it in exported fields and out of map keys:
// package fmt does not ask unexported fields, nor encoding/json keys of a string
// type, how they want to be shown.
type Secret string

// Reveal returns the text.
func (s Secret) Reveal() string { return string(s) }

// String returns stars.
func (s Secret) String() string { return stars }

// GoString returns stars.
func (s Secret) GoString() string { return stars }

// Format writes stars for every verb, %x and %d among them.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, stars) }

// MarshalText returns stars; JSON, YAML and log/slog use it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(stars), nil }
