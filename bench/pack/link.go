//go:build linux

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/convox-ci/convox-ci/bench/rig"
)

// discard serves uploads that go nowhere, over a link of so many Mbit/s; 0 is no limit. The reply is
// how many bytes came.
func discard(mbits float64) (url string, stop func() error, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprint(w, n)
	})}
	url = "http://" + l.Addr().String() + "/object.tgz"
	if mbits > 0 {
		l = rig.NewLink(mbits).Before(l, "")
	}
	go server.Serve(l) // ends with Close
	return url, server.Close, nil
}
