package rackd

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestWatchedAs(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.7:80": "192.0.2.7/32", "[::ffff:192.0.2.7]:80": "192.0.2.7/32", "[2001:db8:1:2:3:4:5:6]:80": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:80": "fe80::/64", "pipe": "invalid Prefix", "": "invalid Prefix",
	} {
		if got := watchedAs(remote).String(); got != want {
			t.Errorf("%s is watched as %s, want %s", remote, got, want)
		}
	}
}

// However many addresses an attacker has, what is remembered of them is bounded.
func TestWatchedAddressesAreBounded(t *testing.T) {
	l, at := newLogins(), time.Unix(0, 0)
	for i := range maxWatched + 100 {
		l.failed(watchedAs(fmt.Sprintf("10.%d.%d.1:80", i/256, i%256)), at)
	}
	if len(l.of) != maxWatched {
		t.Errorf("%d are watched", len(l.of))
	}
	l.failed(netip.Prefix{}, at.Add(lockout))
	if len(l.of) != 1 {
		t.Errorf("%d are watched when all but one are over", len(l.of))
	}
}

// FuzzReadToken holds: only a token that is what writeToken makes of its claims
// is taken.
func FuzzReadToken(f *testing.F) {
	key, at := []byte("key"), time.Unix(1000, 0)
	for _, c := range []claims{{2000, "r", "a"}, {2000, "rw", ""}, {10, "rw", "a"}, {2000, "x", "a"}} {
		token, err := writeToken(key, c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(token)
	}
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		c, err := readToken(key, token, at)
		if err != nil {
			return
		}
		if again, err := writeToken(key, c); err != nil || again != token || c.ExpiresAt <= 1000 {
			t.Errorf("%q is taken for %+v, which is %q (%v)", token, c, again, err)
		}
	})
}
