package ci

import "encoding/binary"

const (
	reach    = minSecret // bytes that are looked at together; no pattern is shorter
	lastFour = reach - 4 // where the last four of them are
	hashBits = 15        // so that a table of bytes fits the fastest cache
	seenBits = 18        // so that a set of as many bits does, and a few hundred patterns fill next to nothing of it
)

// skipper finds where in a text a pattern may begin, by looking at a few of its bytes only: most of
// a log is nothing like a secret. It looks at four bytes at once, since fewer are in one of many
// secrets by chance, above all where both are hexadecimal (Wu and Manber, "A fast algorithm for multi-pattern searching",
// 1994).
type skipper struct {
	seen   [1 << seenBits / 64]uint64 // set of the hashes of four bytes that are near the beginning of a pattern
	shift  [1 << hashBits]uint8       // by the hash of four bytes: how far on the nearest pattern with them begins
	begins [1 << hashBits / 64]uint64 // set of the hashes of what patterns begin with
}

// newSkipper makes the skipper of patterns, none of which is shorter than reach.
func newSkipper(patterns []string) *skipper {
	s := &skipper{}
	for i := range s.shift {
		s.shift[i] = lastFour + 1
	}
	for _, p := range patterns {
		for i := range lastFour + 1 {
			h := hashFour(binary.LittleEndian.Uint32([]byte(p[i : i+4])))
			s.seen[h/64] |= 1 << (h % 64)
			at := &s.shift[h>>(seenBits-hashBits)]
			*at = min(*at, uint8(lastFour-i))
		}
		h := hashAll(binary.LittleEndian.Uint64([]byte(p[:reach])))
		s.begins[h/64] |= 1 << (h % 64)
	}
	return s
}

// next returns a place in text, from a given one on, such that no pattern begins before it. A
// pattern may begin there, or fewer than reach bytes are left, which cannot be judged.
func (s *skipper) next(text []byte, at int) int {
	for at+reach <= len(text) {
		all := binary.LittleEndian.Uint64(text[at:])
		four := hashFour(uint32(all >> (8 * lastFour)))
		if s.seen[four/64]>>(four%64)&1 == 0 {
			at += lastFour + 1
			continue
		}
		on := s.shift[four>>(seenBits-hashBits)]
		if on == 0 {
			h := hashAll(all)
			if s.begins[h/64]>>(h%64)&1 != 0 {
				return at
			}
			on = 1
		}
		at += int(on)
	}
	return at
}

// The factors are odd and have no order in their bits, so that the upper bits of the product depend
// on all of the number.
func hashFour(n uint32) uint32 { return n * 0x9e3779b1 >> (32 - seenBits) }
func hashAll(n uint64) uint64  { return n * 0x9e3779b97f4a7c15 >> (64 - hashBits) }
