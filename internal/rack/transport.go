package rack

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

const (
	dialTimeout      = 30 * time.Second // as the official clients have it; a rack behind a balancer answers in milliseconds
	handshakeTimeout = 10 * time.Second // likewise
	keepAlive        = 15 * time.Second // log sockets do not answer pings, so only TCP tells that a peer is gone
	idleTimeout      = 45 * time.Second // below the minute of the usual balancers: a request on a connection they just dropped may be lost
	silentTimeout    = 10 * time.Minute // from a request to the status: a v2 rack starts the task of a build first, up to 6 minutes
)

// TLS says how the certificate of an endpoint is judged.
type TLS struct {
	CAFile     string // PEM file of authorities trusted besides the system's; "" for none
	SkipVerify bool   // accept any certificate
}

// Transport makes the HTTP transport for an endpoint. It fails if the file of
// authorities cannot be read or holds no certificate.
func Transport(t TLS) (*http.Transport, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.SkipVerify} //nolint:gosec // only where the user asked for it by name
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, err
		}
		pool, err := x509.SystemCertPool()
		if err != nil { // a minimal image has none; then only the file counts
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: holds no PEM certificate", t.CAFile)
		}
		config.RootCAs = pool
	}
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment, // the official clients ignore proxies; a CI machine may have no other way out
		DialContext:           dialer.DialContext,
		TLSClientConfig:       config,
		TLSHandshakeTimeout:   handshakeTimeout,
		ResponseHeaderTimeout: silentTimeout,
		IdleConnTimeout:       idleTimeout,
		// HTTP/2 is left out: racks and consoles upgrade to WebSocket, which needs HTTP/1.1.
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
	}, nil
}
