//go:build !carrier

package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWhenDockerSpeaksTLS: as the docker command does, but that nothing is taken
// without a look at the certificate.
func TestWhenDockerSpeaksTLS(t *testing.T) {
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, ".docker"), 0o700); err != nil {
		t.Fatal(err)
	}
	const missing = "ca.pem: no such file or directory"
	for _, c := range []struct {
		address string
		environ map[string]string
		want    string // how the error begins and ends; "" for no TLS
	}{
		{"tcp://docker:2375", nil, ""},
		{"tcp://docker:2376", map[string]string{"DOCKER_TLS_VERIFY": "1"}, home + "/.docker/" + missing},
		{"tcp://docker:2376", map[string]string{"DOCKER_TLS_VERIFY": "1", "DOCKER_CONFIG": "/none/config"}, "/none/config/" + missing},
		{"tcp://docker:2376", map[string]string{"DOCKER_CERT_PATH": "/none/certs", "DOCKER_CONFIG": "/none/config"}, "/none/certs/" + missing},
		{"unix:///var/run/docker.sock", map[string]string{"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/none/certs"}, ""},
	} {
		e := &engine{variable: func(name string) string {
			if name == "HOME" {
				return home
			}
			return c.environ[name]
		}}
		secure, err := e.dockerTLS(c.address)
		if c.want == "" {
			if secure != nil || err != nil {
				t.Errorf("%s with %v: %v, %v", c.address, c.environ, secure, err)
			}
		} else if want := "DOCKER_TLS_VERIFY or DOCKER_CERT_PATH asks for TLS: open "; err == nil || !strings.HasPrefix(err.Error(), want+c.want) {
			t.Errorf("%s with %v: error %v", c.address, c.environ, err)
		}
	}
}

// TestDaemonInAContainerOfNoDocker: a daemon in a container is looked for where
// Docker is.
func TestDaemonInAContainerOfNoDocker(t *testing.T) {
	for name, want := range map[string]string{
		"docker-container://builder": "BuildKit at BUILDKIT_HOST (docker-container://builder): there is no /none/docker.sock",
		"docker-container://":        `BuildKit at BUILDKIT_HOST (docker-container://): "docker-container://" is not the address of a BuildKit daemon; accepted: `,
	} {
		environ := map[string]string{"BUILDKIT_HOST": name, "DOCKER_HOST": "unix:///none/docker.sock"}
		e := &engine{variable: func(name string) string { return environ[name] }}
		if _, err := e.find(t.Context()); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", name, err, want)
		}
	}
}
