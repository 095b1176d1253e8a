package storetest

import (
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

func wantParameters(t *testing.T, s rackd.Stores, want map[string]string) {
	t.Helper()
	got, err := s.Parameters.Parameters(t.Context())
	must(t, err)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("parameters (-want +got):\n%s", d)
	}
}

func testParameters(t *testing.T, open func() rackd.Stores) {
	s, ctx := open(), t.Context()
	wantParameters(t, s, nil)
	first := map[string]string{"BuildCache": "Yes", "Empty": "", "Text": "\"ünïcödé\" & <b>\n=\x00"}
	second := map[string]string{"BuildCache": "No"}
	wantKind(t, "swap of what was never stored", s.Parameters.SwapParameters(ctx, second, first), rack.ErrConflict)
	wantParameters(t, s, nil)
	must(t, s.Parameters.SwapParameters(ctx, map[string]string{}, first))
	wantParameters(t, s, first)
	wantKind(t, "second first swap", s.Parameters.SwapParameters(ctx, nil, second), rack.ErrConflict)
	must(t, s.Parameters.SwapParameters(ctx, first, second))
	wantKind(t, "swap of what is gone", s.Parameters.SwapParameters(ctx, first, first), rack.ErrConflict)
	wantParameters(t, open(), second)
}

func testRacingParameters(t *testing.T, open func() rackd.Stores) {
	s, ctx := open(), t.Context()
	var now map[string]string
	for round := range 5 {
		next := func(i int) map[string]string {
			return map[string]string{"Round": strconv.Itoa(round), "Racer": strconv.Itoa(i)}
		}
		won := winner(t, "parameters", race(func(i int) error { return s.Parameters.SwapParameters(ctx, now, next(i)) }))
		now = next(won)
		wantParameters(t, s, now)
	}
}
