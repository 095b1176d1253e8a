package app

import (
	"io"
	"net"
	"net/http"
	"testing"
)

// TestListenElsewhere: another process may have the address that a rack likes
// best, most often another rack.
func TestListenElsewhere(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var r runningRack
	address, err := r.listenOrElsewhere(taken.Addr().String(), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "here")
	}))
	if err != nil {
		t.Fatal(err)
	}
	if address == taken.Addr().String() {
		t.Fatalf("listening on %s, which is taken", address)
	}
	res, err := http.Get("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); string(body) != "here" {
		t.Errorf("got %q", body)
	}
	if err := r.close(); err != nil {
		t.Error(err)
	}
}
