package ci

import (
	"io"
	"os"
	"slices"
	"sync"
)

// Mask is a writer that passes bytes on with three stars in place of each
// secret. Where secrets overlap or touch, one run of three stars stands for all.
// The output does not depend on how the input is cut into writes.
//
// It holds back only bytes that could be the start of a secret, so a log stays
// live; [Mask.Close] lets them go. It may be used by several goroutines, though
// a secret cut into two writes is found only if they follow each other.
//
// The mask's own stars beside ordinary text can spell a secret that itself holds
// a star; nothing of the real one is shown by that.
type Mask struct {
	mu      sync.Mutex
	w       io.Writer
	secrets *Secrets

	machine *machine // as of the last write; a new one means a secret was added
	at      int32    // the machine's node
	held    []byte   // received and not written
	hidden  []span   // parts of held that are secret, in order and apart
	starred bool     // the last byte let go was part of a secret
	out     []byte   // scratch
	closed  bool
}

// span is a part of a text.
type span struct{ from, to int }

// NewMask returns a mask in front of w. Secrets that are added to the set later
// count for all bytes not yet written to w.
func NewMask(w io.Writer, secrets *Secrets) *Mask {
	return &Mask{w: w, secrets: secrets, machine: secrets.current()}
}

// Write passes p on, masked. After Close it returns [os.ErrClosed].
func (m *Mask) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return 0, os.ErrClosed
	}
	from := m.unread()
	text := p
	if len(m.held) > 0 {
		m.held = append(m.held, p...)
		text = m.held
	}
	m.find(text, from)
	n := len(text) - m.machine.nodes[m.at].open
	err := m.release(text, n)
	m.held = append(m.held[:0], text[n:]...)
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes what is held back, even when it could be the start of a secret:
// something else follows it.
func (m *Mask) Flush() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.flush()
}

// Close writes what is held back, and ends the mask; w stays open. It may be
// called again.
func (m *Mask) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return m.flush()
}

func (m *Mask) flush() error {
	m.find(m.held, m.unread())
	err := m.release(m.held, len(m.held))
	m.held, m.at, m.starred = m.held[:0], 0, false
	return err
}

// unread returns where the machine has to read on: behind what is held back,
// or at its beginning when a secret was added.
func (m *Mask) unread() int {
	if now := m.secrets.current(); now != m.machine {
		m.machine, m.at = now, 0
		return 0
	}
	return len(m.held)
}

// find reads text, all that is held, from a place on and hides the secrets in it.
func (m *Mask) find(text []byte, i int) {
	if len(m.machine.nodes) == 1 {
		return // there are no secrets
	}
	for i < len(text) {
		// What could be the start of a secret is judged by what follows it, if that is here. While
		// it is short nothing is lost by reading it again: no secret can have ended in it.
		at := m.machine.nodes[m.at]
		if begin := i - at.open; at.open < reach && begin+reach <= len(text) {
			if next := m.machine.skip.next(text, begin); next > begin {
				i, m.at = next, 0
				continue
			}
		}
		m.at = m.machine.next(m.at, text[i])
		i++
		if length := m.machine.nodes[m.at].match; length > 0 {
			m.hide(i-length, i)
		}
	}
}

// hide adds a secret to the hidden spans. Those that overlap or touch become
// one.
func (m *Mask) hide(from, to int) {
	first := len(m.hidden)
	for first > 0 && m.hidden[first-1].to >= from {
		first--
	}
	last := first
	for last < len(m.hidden) && m.hidden[last].from <= to {
		last++
	}
	if first < last {
		from, to = min(from, m.hidden[first].from), max(to, m.hidden[last-1].to)
	}
	m.hidden = slices.Replace(m.hidden, first, last, span{from, to})
}

// release writes the first n bytes of text, all that is held.
func (m *Mask) release(text []byte, n int) error {
	out := text[:n]
	if len(m.hidden) > 0 || m.starred {
		out = m.star(out)
	}
	if len(out) == 0 {
		return nil
	}
	_, err := m.w.Write(out)
	return err
}

// star returns text with stars in place of what is hidden, and forgets the
// spans in it.
func (m *Mask) star(text []byte) []byte {
	m.out = m.out[:0]
	shown := 0 // bytes of text dealt with
	left := m.hidden[:0]
	for _, s := range m.hidden {
		if s.from < len(text) {
			m.out = append(m.out, text[shown:s.from]...)
			if s.from > 0 || !m.starred {
				m.out = append(m.out, stars...)
			}
			shown = min(s.to, len(text))
		}
		if s.to > len(text) {
			left = append(left, span{max(0, s.from-len(text)), s.to - len(text)})
		}
	}
	m.out = append(m.out, text[shown:]...)
	if len(text) > 0 {
		m.starred = shown == len(text)
	}
	m.hidden = left
	return m.out
}
