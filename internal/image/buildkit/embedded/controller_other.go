//go:build !linux

package embedded

import (
	"context"
	"errors"

	"google.golang.org/grpc"

	"github.com/convox-ci/convox-ci/internal/image"
)

func supported(string) error { return errors.New("it needs Linux") }

// nothing stands for the daemon where [supported] refuses to start one.
type nothing struct{}

func (nothing) Register(*grpc.Server) {}
func (nothing) Close() error          { return nil }

func (nothing) held(l image.Limits) image.Limits { return l }

func controller(context.Context, Options) (nothing, error) { return nothing{}, supported("") }

// Sweep has nothing to end where no daemon can run.
func Sweep(string) error { return nil }
