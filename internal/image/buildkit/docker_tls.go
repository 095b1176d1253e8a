package buildkit

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// DockerTLS is how to speak to an engine that is reached over TLS, by the files that
// the docker command has for it in a directory: ca.pem, and cert.pem with key.pem if
// the engine wants to know who asks. The engine's certificate is always verified.
// https://docs.docker.com/engine/security/protect-access/
func DockerTLS(dir string) (*tls.Config, error) {
	authority := filepath.Join(dir, "ca.pem")
	text, err := os.ReadFile(authority)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate in it", authority)
	}
	config := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	own, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	switch {
	case err == nil:
		config.Certificates = []tls.Certificate{own}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("cert.pem and key.pem in %s: %w", dir, err)
	}
	return config, nil
}
