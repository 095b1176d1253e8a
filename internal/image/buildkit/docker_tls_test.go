package buildkit_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/convox-ci/convox-ci/internal/image/buildkit"
)

// TestDockerOverTLS builds with an engine that is reached as those of CI systems
// are that run it elsewhere: by TCP, by certificates on both sides.
func TestDockerOverTLS(t *testing.T) {
	dir := certificates(t)
	address := "tcp://" + secured(t, dir)
	secure, err := buildkit.DockerTLS(dir)
	if err != nil {
		t.Fatal(err)
	}
	d, err := buildkit.DialDocker(t.Context(), address, secure)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	mustBuild(t, d, spec(t, source(t, map[string]string{"Dockerfile": "COPY text /text\n", "text": "t"})))

	for what, files := range map[string]map[string]string{
		"a certificate that is not known": {"ca.pem": read(t, certificates(t), "ca.pem")},
		"no certificate of its own":       {"cert.pem": "", "key.pem": ""},
	} {
		secure, err := buildkit.DockerTLS(with(t, dir, files))
		if err != nil {
			t.Errorf("%s: %v", what, err)
		} else if d, err := buildkit.DialDocker(t.Context(), address, secure); err == nil {
			d.Close()
			t.Errorf("%s is taken", what)
		} else if !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s: error %q", what, err)
		}
	}
}

func TestDockerTLSFaults(t *testing.T) {
	dir := certificates(t)
	for want, files := range map[string]map[string]string{
		"ca.pem: no such file or directory":                     {"ca.pem": ""},
		"ca.pem has no certificate in it":                       {"ca.pem": "none"},
		"tls: failed to find any PEM data in certificate input": {"cert.pem": "none"},
		"tls: private key does not match public key":            {"key.pem": read(t, certificates(t), "key.pem")},
	} {
		if _, err := buildkit.DockerTLS(with(t, dir, files)); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// certificates makes the files of the docker command, with one certificate for all.
func certificates(t *testing.T) (dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, IsCA: true, BasicConstraintsValid: true}
	cert, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
	return with(t, "", map[string]string{"ca.pem": public, "cert.pem": public,
		"key.pem": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))})
}

// with copies a directory, with some files changed, or left out where they are empty.
func with(t *testing.T, from string, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range []string{"ca.pem", "cert.pem", "key.pem"} {
		text, changed := files[name]
		if !changed {
			text = read(t, from, name)
		}
		if text == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// secured lets in to the engine who has a certificate, and gives where.
func secured(t *testing.T, dir string) (address string) {
	t.Helper()
	e, err := shared.engine()
	if err != nil {
		t.Fatal(err)
	}
	config, err := buildkit.DockerTLS(dir)
	if err != nil {
		t.Fatal(err)
	}
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, config.RootCAs
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go pass(client, strings.TrimPrefix(e.Address, "unix://"))
		}
	}()
	return listener.Addr().String()
}

// pass connects a client with a socket until either ends.
func pass(client net.Conn, socket string) {
	defer client.Close()
	engine, err := net.Dial("unix", socket)
	if err != nil {
		return
	}
	defer engine.Close()
	go func() {
		io.Copy(engine, client)
		engine.Close()
	}()
	io.Copy(client, engine)
}
