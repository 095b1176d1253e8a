package rackd

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// queue lets builds begin, a few at once. The apps take turns: one that has asked
// for many does not keep the others waiting behind all of them.
type queue struct {
	mu      sync.Mutex
	size    int // how many may run at once
	running map[string]int
	last    map[string]int // the turn in which a build of an app began last
	turn    int
	waiting []*turn // in the order in which they came
}

// turn is a build that waits.
type turn struct {
	app string
	now chan struct{} // closed when the build may begin
}

func newQueue(size int) *queue {
	return &queue{size: size, running: map[string]int{}, last: map[string]int{}}
}

// enter returns when a build of an app may begin, or with the cause of the end of
// ctx. It calls wait, which must not block, if that is not at once. Who has
// entered has to leave.
func (q *queue) enter(ctx context.Context, app string, wait func()) error {
	t := &turn{app, make(chan struct{})}
	q.mu.Lock()
	q.waiting = append(q.waiting, t)
	q.next()
	q.mu.Unlock()
	select {
	case <-t.now:
		return nil
	default:
		wait()
	}
	select {
	case <-t.now:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	at := slices.Index(q.waiting, t)
	if at >= 0 {
		q.waiting = slices.Delete(q.waiting, at, at+1)
	}
	q.mu.Unlock()
	if at < 0 { // its turn came at the same time, and is for another
		q.leave(app)
	}
	return context.Cause(ctx)
}

// leave lets another build have the turn.
func (q *queue) leave(app string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running[app]--; q.running[app] == 0 {
		delete(q.running, app)
	}
	q.next()
	if len(q.running) == 0 {
		clear(q.last) // or it would hold the names of all apps there ever were
	}
}

// next lets as many builds begin as may: those of the app that has the fewest
// running come first, then those of the app whose last one began the longest ago.
func (q *queue) next() {
	busy := 0
	for _, n := range q.running {
		busy += n
	}
	for ; busy < q.size && len(q.waiting) > 0; busy++ {
		t := slices.MinFunc(q.waiting, func(a, b *turn) int {
			return cmp.Or(cmp.Compare(q.running[a.app], q.running[b.app]), cmp.Compare(q.last[a.app], q.last[b.app]))
		})
		q.waiting = slices.DeleteFunc(q.waiting, func(w *turn) bool { return w == t })
		q.turn++
		q.last[t.app] = q.turn
		q.running[t.app]++
		close(t.now)
	}
}
