package rack

import "crypto/rand"

// letters are what ids are made of.
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// NewID is prefix and ten random capital letters, the form of the ids of builds
// (B) and releases (R). Who stores it must be ready for one that is taken.
func NewID(prefix string) string {
	id := []byte(prefix)
	for len(id) < len(prefix)+10 {
		var b [16]byte
		rand.Read(b[:]) // never fails
		for _, c := range b {
			// 234 is the largest multiple of 26 in a byte: what is above would favour the first letters.
			if c < 234 && len(id) < len(prefix)+10 {
				id = append(id, letters[c%26])
			}
		}
	}
	return string(id)
}
