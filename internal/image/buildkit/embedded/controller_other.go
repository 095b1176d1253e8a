//go:build !linux

package embedded

import (
	"context"
	"errors"

	"google.golang.org/grpc"

	"github.com/convox-ci/convox-ci/internal/image"
)

func supported(string) error { return errors.New("it needs Linux") }

// service stands for the daemon where [supported] refuses to start one.
type service struct{}

func (*service) Register(*grpc.Server) {}
func (*service) Close() error          { return nil }

func (*service) bound(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	return next(ctx, req)
}

func (*service) held(l image.Limits) image.Limits { return l }

func controller(context.Context, Options) (*service, error) { return nil, supported("") }

// Sweep has nothing to end where no daemon can run.
func Sweep(string) error { return nil }

func lock(string) (unlock func() error, err error) { return func() error { return nil }, nil }
