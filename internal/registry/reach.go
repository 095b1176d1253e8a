package registry

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"
)

const (
	dialTimeout = 30 * time.Second // as the registry's library has it
	keepAlive   = 30 * time.Second // likewise
)

// ErrRefused is the kind of the error for an address that images are not taken
// from.
var ErrRefused = errors.New("images are not taken from this address")

// Guarded is a way to registries for images that others name: they could make
// this machine ask what only it can reach. Addresses of this link, where clouds
// answer with the credentials of a machine, are never asked; private ones, and
// those of this machine, only if private is set. own is the host and port of a
// registry that always is. It is the address that counts which a name leads to,
// also that of a redirect. Through a proxy, which looks names up itself, only what
// is named by its address is judged.
func Guarded(own string, private bool) http.RoundTripper {
	allow := func(address string) error {
		if address == own {
			return nil
		}
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		return judge(at.Addr(), private)
	}
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive, Control: func(_, address string, _ syscall.RawConn) error {
		return allow(address)
	}}
	proxied := remote.DefaultTransport.(*http.Transport).Clone()
	direct := proxied.Clone()
	direct.DialContext, direct.Proxy = dialer.DialContext, nil
	return &guarded{proxied: proxied, direct: direct, private: private}
}

// guarded chooses between the ways to a registry.
type guarded struct {
	proxied, direct *http.Transport
	private         bool
}

// RoundTrip implements [http.RoundTripper].
func (g *guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	var proxy *url.URL
	if g.proxied.Proxy != nil {
		var err error
		if proxy, err = g.proxied.Proxy(r); err != nil {
			return nil, err
		}
	}
	if proxy == nil {
		return g.direct.RoundTrip(r)
	}
	if ip, err := netip.ParseAddr(r.URL.Hostname()); err == nil {
		if err := judge(ip, g.private); err != nil {
			return nil, err
		}
	}
	return g.proxied.RoundTrip(r)
}

// judge tells whether an address may be asked.
func judge(ip netip.Addr, private bool) error {
	ip = embedded(ip.Unmap().WithZone(""))
	if ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() || within(ip, metadata()) {
		return fmt.Errorf("%w: %s is for this link only", ErrRefused, ip)
	}
	if !private && (ip.IsPrivate() || ip.IsLoopback() || within(ip, inner())) {
		return fmt.Errorf("%w: %s is private", ErrRefused, ip)
	}
	return nil
}

func within(ip netip.Addr, ranges []netip.Prefix) bool {
	for _, p := range ranges {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// metadata are addresses outside of 169.254.0.0/16 at which clouds tell a machine
// its credentials: those of Amazon over IPv6, and of Alibaba.
func metadata() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("fd00:ec2::254/128"), netip.MustParsePrefix("100.100.100.200/32")}
}

// inner are ranges that are not public besides those that package netip knows:
// of carriers (https://www.rfc-editor.org/rfc/rfc6598) and "this network"
// (https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.3).
func inner() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("0.0.0.0/8")}
}

// embedded is the IPv4 address within one of IPv6 that a gateway translates
// (https://www.rfc-editor.org/rfc/rfc6052#section-2.1); any other as it is.
func embedded(ip netip.Addr) netip.Addr {
	if !netip.MustParsePrefix("64:ff9b::/96").Contains(ip) {
		return ip
	}
	b := ip.As16()
	return netip.AddrFrom4([4]byte(b[12:]))
}
