package workflow

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// errSource stands for what is wrong with the source of an archive while that is
// sent: a fault of the rack that it comes from must not be taken for a lost answer
// of the one that it goes to.
var errSource = errors.New("the archive could not be read")

// sending is an archive on its way to a rack.
type sending struct {
	*rack.Archive
	record rack.Build // of the build, as the archive has it; set before any of it is sent
	mu     sync.Mutex
	fault  error // of the source
}

// begin opens the archive and refuses one that the rack cannot read.
func (s *sending) begin(ctx context.Context, open func(context.Context) (io.ReadCloser, error), to rack.System) error {
	from, err := open(ctx)
	if err != nil {
		s.Archive = rack.CheckArchive(io.MultiReader()) // of which nothing is known
		return s.failed(err)
	}
	s.Archive = rack.CheckArchive(from)
	layout, err := s.Layout()
	if err == nil && !to.Takes(layout) {
		err = &LayoutError{Layout: layout, Version: to.Version}
	}
	if err != nil {
		s.Close()
		return s.failed(err)
	}
	s.record = s.Build()
	return nil
}

func (s *sending) Read(p []byte) (int, error) {
	n, err := s.Archive.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = s.failed(err)
	}
	return n, err
}

// failed keeps what is wrong with the source.
func (s *sending) failed(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = err
	return errSource
}

// reason is what an error of sending comes from.
func (s *sending) reason(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(err, errSource) {
		return s.fault
	}
	return err
}
