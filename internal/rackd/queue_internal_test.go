package rackd

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
)

// ask has one of an app wait in a queue. What it says is told by its app's name.
func ask(t *testing.T, q *queue, app string, began *[]string) {
	t.Helper()
	go func() {
		if err := q.enter(t.Context(), app, func() {}); err == nil {
			*began = append(*began, app)
		}
	}()
	synctest.Wait()
}

// TestTurns has apps take turns, whatever the order in which they asked.
func TestTurns(t *testing.T) {
	for _, test := range []struct {
		name  string
		size  int
		asked string // apps of one letter, in the order of their asking
		leave string // and in that of their leaving
		began string
	}{
		{"one at a time", 1, "aaaabbc", "abcabaa", "abcabaa"},
		{"two at once", 2, "aaaabbc", "aabcaba", "aabcaba"},
		{"as they come where one app asks", 2, "aaa", "aaa", "aaa"},
		{"the app with fewer running first", 2, "aabac", "aabca", "aabca"},
		{"nobody waits", 9, "abcabc", "abcabc", "abcabc"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(test.size)
				var began []string
				for _, app := range strings.Split(test.asked, "") {
					ask(t, q, app, &began)
				}
				if n := min(test.size, len(test.asked)); len(began) != n {
					t.Fatalf("%d run at once, want %d", len(began), n)
				}
				for _, app := range strings.Split(test.leave, "") {
					q.leave(app)
					synctest.Wait()
				}
				if got := strings.Join(began, ""); got != test.began {
					t.Errorf("they began as %s, want %s", got, test.began)
				}
				if len(q.running)+len(q.last)+len(q.waiting) != 0 {
					t.Errorf("left in the end: %v, %v, %v", q.running, q.last, q.waiting)
				}
			})
		})
	}
}

// TestWaitingIsGivenUp has one that waits go away: nobody else may lose by that.
func TestWaitingIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1)
		var began []string
		ask(t, q, "a", &began)
		ctx, stop := context.WithCancelCause(t.Context())
		why, gone := errors.New("it was cancelled"), make(chan error, 1)
		go func() { gone <- q.enter(ctx, "b", func() {}) }()
		synctest.Wait()
		ask(t, q, "c", &began)
		stop(why)
		if err := <-gone; err != why {
			t.Errorf("it went with %v", err)
		}
		q.leave("a")
		synctest.Wait()
		if got := strings.Join(began, ""); got != "ac" {
			t.Errorf("began: %s", got)
		}
	})
}

// TestTurnComesTooLate gives a turn to one that is just going away: it is for
// another.
func TestTurnComesTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1)
		var began []string
		ask(t, q, "a", &began)
		ctx, stop := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() { gone <- q.enter(ctx, "b", func() {}) }()
		synctest.Wait()
		q.mu.Lock()
		stop() // it is on its way out, and stands before the lock
		clear(q.running)
		q.next()
		q.mu.Unlock()
		if err := <-gone; err == nil {
			t.Error("it has entered")
		}
		ask(t, q, "c", &began)
		if got := strings.Join(began, ""); got != "ac" {
			t.Errorf("began: %s", got)
		}
	})
}
