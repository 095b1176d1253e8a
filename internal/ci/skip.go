package ci

import "encoding/binary"

const (
	reach    = minSecret // bytes that are looked at together; no pattern is shorter
	tripleAt = 5         // the last three of them: reach - 3
	hashBits = 15        // so that a table fits the fastest cache, and a few hundred secrets fill little of it
)

// skipper finds where in a text a pattern may begin, by looking at a few of its bytes only: most of
// a log is nothing like a secret. It looks at three bytes at once, since a pair of letters is in
// one of many secrets by chance (Wu and Manber, "A fast algorithm for multi-pattern searching",
// 1994).
type skipper struct {
	shift  [1 << hashBits]uint8       // by the hash of three bytes: how far on the nearest pattern with them begins
	begins [1 << hashBits / 64]uint64 // set of the hashes of what patterns begin with
}

// newSkipper makes the skipper of patterns, none of which is shorter than reach.
func newSkipper(patterns []string) *skipper {
	s := &skipper{}
	for i := range s.shift {
		s.shift[i] = tripleAt + 1
	}
	for _, p := range patterns {
		for i := range tripleAt + 1 {
			three := uint32(p[i]) | uint32(p[i+1])<<8 | uint32(p[i+2])<<16
			at := &s.shift[hashThree(three)]
			*at = min(*at, uint8(tripleAt-i))
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
		on := s.shift[hashThree(uint32(all>>(8*tripleAt)))]
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
func hashThree(n uint32) uint32 { return n * 0x9e3779b1 >> (32 - hashBits) }
func hashAll(n uint64) uint64   { return n * 0x9e3779b97f4a7c15 >> (64 - hashBits) }
