package ci

import (
	"io"
	"os"
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
	hidden  []bool   // for each byte of held: part of a secret
	starred bool     // the last byte let go was part of a secret
	out     []byte   // scratch
	closed  bool
}

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
	m.update()
	for _, b := range p {
		m.held = append(m.held, b)
		m.hidden = append(m.hidden, false)
		m.step(len(m.held))
	}
	if err := m.release(len(m.held) - m.machine.nodes[m.at].open); err != nil {
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
	m.update()
	err := m.release(len(m.held))
	m.at, m.starred = 0, false
	return err
}

// update looks for newly added secrets in what is held back.
func (m *Mask) update() {
	now := m.secrets.current()
	if now == m.machine {
		return
	}
	m.machine, m.at = now, 0
	for i := range m.held {
		m.step(i + 1)
	}
}

// step reads held[end-1] and hides the longest secret that ends there.
func (m *Mask) step(end int) {
	m.at = m.machine.next(m.at, m.held[end-1])
	for i := end - m.machine.nodes[m.at].match; i < end; i++ {
		m.hidden[i] = true
	}
}

// release writes the first n bytes held.
func (m *Mask) release(n int) error {
	m.out = m.out[:0]
	for i, b := range m.held[:n] {
		switch {
		case !m.hidden[i]:
			m.out = append(m.out, b)
		case !m.starred:
			m.out = append(m.out, stars...)
		}
		m.starred = m.hidden[i]
	}
	m.held = m.held[:copy(m.held, m.held[n:])]
	m.hidden = m.hidden[:copy(m.hidden, m.hidden[n:])]
	if len(m.out) == 0 {
		return nil
	}
	_, err := m.w.Write(m.out)
	return err
}
