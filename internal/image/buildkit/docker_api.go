package buildkit

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// engine is the little of Docker's HTTP API that a build needs.
// https://docs.docker.com/reference/api/engine/
type engine struct {
	network, address string
	secure           *tls.Config // nil for none
}

func newEngine(raw string, secure *tls.Config) (engine, error) {
	network, address, _ := strings.Cut(raw, "://")
	if network != "unix" && network != "tcp" || address == "" {
		return engine{}, fmt.Errorf("%q is not the address of a Docker engine; accepted: unix:///var/run/docker.sock, tcp://127.0.0.1:2375", raw)
	}
	return engine{network, address, secure}, nil
}

func (e engine) dial(ctx context.Context) (net.Conn, error) {
	if e.secure != nil {
		return (&tls.Dialer{Config: e.secure}).DialContext(ctx, e.network, e.address)
	}
	return new(net.Dialer).DialContext(ctx, e.network, e.address)
}

// do sends a request, with JSON unless in is nil, and hands the body of a successful
// answer to read.
func (e engine) do(ctx context.Context, method, path string, in any, read func(io.Reader) error) error {
	t := &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return e.dial(ctx) },
		DisableKeepAlives: true,
	}
	req, err := request(ctx, method, path, in)
	if err != nil {
		return err
	}
	res, err := (&http.Client{Transport: t}).Do(req)
	if err != nil {
		return fmt.Errorf("docker: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusCreated {
		return fmt.Errorf("docker: %s %s: %s", method, path, message(res))
	}
	if read == nil {
		return nil
	}
	return read(res.Body)
}

// maxAnswer is how much is read of an answer that tells an error, in bytes.
const maxAnswer = 8 << 10

// message is what an engine says of an error.
func message(res *http.Response) string {
	var said struct{ Message string }
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&said); err != nil || said.Message == "" {
		return res.Status
	}
	return said.Message
}

// request makes one, with JSON unless in is nil.
func request(ctx context.Context, method, path string, in any) (*http.Request, error) {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://docker"+path, body)
	if err == nil && in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, err
}

// grpc upgrades a request to a connection that speaks HTTP/2 without TLS.
func (e engine) grpc(ctx context.Context, path string, header http.Header) (net.Conn, error) {
	req, err := request(ctx, http.MethodPost, path, nil)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	return e.upgrade(req, "h2c")
}

// upgrade sends a request for a connection that speaks another protocol, and gives
// the connection.
func (e engine) upgrade(req *http.Request, protocol string) (*upgraded, error) {
	ctx := req.Context()
	conn, err := e.dial(ctx)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", protocol)
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := req.Write(conn); err != nil {
		conn.Close()
		return nil, err
	}
	buffered := bufio.NewReader(conn)
	res, err := http.ReadResponse(buffered, req)
	if err != nil {
		conn.Close()
		return nil, err
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		defer conn.Close()
		return nil, fmt.Errorf("docker: POST %s: %s", req.URL.Path, message(res))
	}
	return &upgraded{Conn: conn, r: buffered}, nil
}

// upgraded is a connection of which some bytes may already have been read.
type upgraded struct {
	net.Conn
	r *bufio.Reader
}

func (u *upgraded) Read(p []byte) (int, error) { return u.r.Read(p) }
