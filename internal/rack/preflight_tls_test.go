package rack_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// secured starts an HTTPS server whose certificate is good from a time to
// another, and returns its URL and a file with the certificate.
func secured(t *testing.T, from, to time.Time) (url, ca string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "rack"}, NotBefore: from, NotAfter: to,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, rack.System{Name: "fake"}) }))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes are refused on purpose
	s.StartTLS()
	t.Cleanup(s.Close)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		t.Fatal(err)
	}
	return s.URL, ca
}

// TestPreflightOfCertificates: one that is not trusted is another trouble than one
// that is, and that this machine's clock finds over or not begun.
func TestPreflightOfCertificates(t *testing.T) {
	now := time.Now()
	for _, test := range []struct {
		name     string
		from, to time.Duration
		trusted  bool
		want     string
	}{
		{"good", -time.Hour, time.Hour, true, "<nil>"},
		{"not trusted", -time.Hour, time.Hour, false, "certificate: "},
		{"over", -2 * time.Hour, -time.Hour, true, "clock: "},
		{"not begun", time.Hour, 2 * time.Hour, true, "clock: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			url, ca := secured(t, now.Add(test.from), now.Add(test.to))
			if !test.trusted {
				ca = ""
			}
			e, err := rack.Direct(url)
			if err != nil {
				t.Fatal(err)
			}
			tr, err := rack.Transport(rack.TLS{CAFile: ca})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(tr.CloseIdleConnections)
			_, err = rack.New(e, tr, nil).Preflight(t.Context(), "")
			if got := trouble(err); !strings.HasPrefix(got, test.want) {
				t.Errorf("trouble is %q, want %q", got, test.want)
			}
		})
	}
}
