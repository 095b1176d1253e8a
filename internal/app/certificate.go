package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	certificateFile = "certificate.pem" // what clients are given as ca-file
	privateKeyFile  = "certificate.key"

	// certificateLife is how long a certificate of our own lasts: to exchange it,
	// all clients have to be told.
	certificateLife = 10 * 365 * 24 * time.Hour

	// certificateRest is what must be left of that when a rack starts.
	certificateRest = 30 * 24 * time.Hour
)

// tlsOptions say with which certificate the API is served.
type tlsOptions struct {
	selfSigned bool   // one of our own, kept in the data
	cert, key  string // PEM files of a given one; "" for none
}

// certificate finds the certificate that the API is served with at an address;
// nil if it is served without.
func (o tlsOptions) certificate(data, address string) (*tls.Certificate, error) {
	switch {
	case o.cert != "":
		c, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return nil, inputFault("tls-cert", err)
		}
		return &c, nil
	case o.selfSigned:
		c, err := keptCertificate(data, namesOf(address), time.Now())
		return c, err
	}
	return nil, nil
}

// keptCertificate is the certificate in the data. A new one is made if there is
// none, or if it is not for these names or no longer for long.
func keptCertificate(data string, names []string, at time.Time) (*tls.Certificate, error) {
	cert, key := filepath.Join(data, certificateFile), filepath.Join(data, privateKeyFile)
	c, err := tls.LoadX509KeyPair(cert, key)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, err
	case covers(c.Leaf, names) && at.Add(certificateRest).Before(c.Leaf.NotAfter):
		return &c, nil
	}
	certPEM, keyPEM, err := makeCertificate(names, at)
	if err != nil {
		return nil, err
	}
	// A process that is killed in between leaves a key without its certificate,
	// which is no pair: both are removed first.
	for _, file := range []string{cert, key} {
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	if err := errors.Join(os.WriteFile(key, keyPEM, 0o600), os.WriteFile(cert, certPEM, 0o600)); err != nil {
		return nil, err
	}
	c, err = tls.X509KeyPair(certPEM, keyPEM)
	return &c, err
}

func covers(c *x509.Certificate, names []string) bool {
	for _, name := range names {
		if c.VerifyHostname(name) != nil {
			return false
		}
	}
	return true
}

// namesOf are the names by which clients may reach an address: if that is every
// address of the machine, its name and all of them.
func namesOf(address string) []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return names
	}
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		return append(names, host)
	}
	if name, err := os.Hostname(); err == nil {
		names = append(names, name)
	}
	addresses, _ := net.InterfaceAddrs() // without them the name has to do
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
			names = append(names, n.IP.String())
		}
	}
	return names
}

// makeCertificate makes a certificate that is its own authority, and its key.
func makeCertificate(names []string, at time.Time) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)) // RFC 5280, section 4.1.2.2: at most 20 bytes, and positive
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "convox-ci rack"},
		NotBefore: at.Add(-time.Hour), NotAfter: at.Add(certificateLife), // clocks differ
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), nil
}

// fingerprint is what a person compares of a certificate: its SHA-256.
func fingerprint(c *tls.Certificate) string {
	sum := sha256.Sum256(c.Certificate[0])
	parts := make([]string, len(sum))
	for i, b := range sum {
		parts[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(parts, ":")
}
