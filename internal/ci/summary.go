package ci

import (
	"fmt"
	"io"
)

// summarizer is a system that shows Markdown on the page of a run.
type summarizer interface {
	// summarize leaves Markdown there, and tells whether there is a place for it.
	summarize(markdown string) (taken bool, err error)
}

// Summary is described in [Results].
func (c *Console) Summary(markdown, text string) error {
	if s, ok := c.system.(summarizer); ok {
		if taken, err := s.summarize(c.secrets.Mask(markdown)); taken {
			return err
		}
	}
	c.mu.Lock()
	c.endGroup()
	c.mu.Unlock()
	_, err := io.WriteString(c, text)
	return err
}

// summarize appends to the file of the step. Each step has one of its own, which
// may have something in it already.
func (g github) summarize(markdown string) (taken bool, err error) {
	if g.summary == "" {
		return false, nil
	}
	if err := appendFile(g.summary, markdown); err != nil {
		return true, fmt.Errorf("append to GITHUB_STEP_SUMMARY: %w", err)
	}
	return true, nil
}
