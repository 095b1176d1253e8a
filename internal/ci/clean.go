package ci

import (
	"encoding/binary"
	"io"
	"slices"
	"sync"
)

// cleaner takes control sequences other than colours out of text, and control
// characters other than tabs and line ends; a carriage return that does not belong
// to a line end becomes one. With them text could be put at the start of a line
// that stands elsewhere, or over other text.
//
// It comes before the mask: what is taken out may have stood in a secret, as the
// zero bytes of UTF-16 do. Only what cannot be seen is held back.
type cleaner struct {
	sequence sequence
	cr       bool // a carriage return is held back
	c2       bool // the last byte was the first of a C1 control character
}

// isControl tells C0 control characters and DEL; a tab is none.
func isControl(b byte) bool { return b < ' ' && b != '\t' || b == 0x7f }

// append appends p, cleaned, to dst.
func (t *cleaner) append(dst, p []byte) []byte {
	dst = slices.Grow(dst, len(p))
	for len(p) > 0 {
		n := t.dull(p)
		whole := 0
		if n > 0 { // a colour, which most of what needs a look is
			whole = colourLength(p[n:])
		}
		dst = append(dst, p[:n+whole]...)
		p = p[n+whole:]
		if whole == 0 && len(p) > 0 {
			dst = t.read(dst, p[0])
			p = p[1:]
		}
	}
	return dst
}

// dull is how many bytes p begins with that stay as they are: most of a log.
func (t *cleaner) dull(p []byte) int {
	if t.cr || t.c2 || t.sequence.is != none {
		return 0
	}
	for i := 0; i < len(p); i++ {
		for i+eight <= len(p) && allText(binary.LittleEndian.Uint64(p[i:])) {
			i += eight
		}
		end := min(i+eight, len(p))
		for ; i < end; i++ {
			if b := p[i]; isControl(b) && b != '\n' || b == 0xc2 {
				return i
			}
		}
		i--
	}
	return len(p)
}

// eight bytes are looked at together.
const eight = 8

// allText tells of eight bytes whether none is a control character, line feeds left
// aside, or the first byte of one. It may say no of others. The sums are those of a
// comparison in each byte at once (Warren, "Hacker's Delight", 2012, section 6-1);
// that with the line feed is exact, as it lets bytes pass.
func allText(p uint64) bool {
	const each, high = 0x0101010101010101, 0x8080808080808080
	below := (p - each*' ') &^ p
	del, c2, feed := p^each*0x7f, p^each*0xc2, p^each*'\n'
	notFeed := (feed&^high + ^uint64(high)) | feed
	return (below&notFeed|(del-each)&^del|(c2-each)&^c2)&high == 0
}

// read takes one byte.
func (t *cleaner) read(dst []byte, b byte) []byte {
	colour, taken := t.sequence.read(b)
	switch {
	case colour != nil:
		return append(t.settle(dst, 0), colour...)
	case taken:
		return dst
	case b == '\r':
		dst = t.settle(dst, b)
		t.cr, t.c2 = true, false
		return dst
	case isControl(b) && b != '\n', t.c2 && b >= 0x80 && b < 0xa0:
		return dst
	}
	dst = t.settle(dst, b)
	t.c2 = b == 0xc2
	return append(dst, b)
}

// settle lets a carriage return go, now that it is known what follows it.
func (t *cleaner) settle(dst []byte, next byte) []byte {
	switch {
	case !t.cr:
		return dst
	case next == '\n':
		dst = append(dst, '\r')
	default:
		dst = append(dst, '\n')
	}
	t.cr = false
	return dst
}

// cleaned returns text, cleaned.
func cleaned(text string) string { return string(new(cleaner).append(nil, []byte(text))) }

// cleanWriter is a cleaner in front of a mask, for several goroutines.
type cleanWriter struct {
	mu   sync.Mutex
	mask *Mask
	cleaner
	out []byte // scratch
}

var _ io.Writer = (*cleanWriter)(nil)

func (w *cleanWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	q := p
	if w.dull(p) < len(p) {
		w.out = w.append(w.out[:0], p)
		q = w.out
	}
	if _, err := w.mask.Write(q); err != nil {
		return 0, err
	}
	return len(p), nil
}

// flush writes what the mask holds back, and forgets what the cleaner does.
func (w *cleanWriter) flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cleaner = cleaner{}
	return w.mask.Flush()
}
