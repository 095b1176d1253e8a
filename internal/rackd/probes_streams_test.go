package rackd_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/wire"
)

// oddStreams are the streams on which our rack says something else than a v2
// rack.
var oddStreams = map[string]string{
	"app logs, Follow: false":                      "nothing has been logged here",
	"exec exit 3":                                  "a shell that is told to exit says nothing",
	"exec, command in the query":                   "likewise",
	"exec size 40x120":                             "of the command of that name only a mock is in the container",
	"exec bad Height":                              "there is a status too, without which official clients exit with 0",
	"exec, unknown process":                        "likewise",
	"exec, no command":                             "it is refused, where the recorded rack ran nothing and called it a success",
	"exec, server resets the connection after 1 s": "this rack breaks nothing off",
}

// opcodes are those of frames by their recorded names: RFC 6455, section 5.2.
var opcodes = map[string]byte{"continuation": 0, "text": 1, "binary": 2, "close": 8, "ping": 9, "pong": 10}

// TestStreamProbes opens the streams that a v2 rack was probed with, sends what
// the probe sent, and compares what comes. What is on the list must differ.
func TestStreamProbes(t *testing.T) {
	m := resume(t, t.TempDir(), password("rackpassword"), func(c *rackd.Config) { c.Name = "fake" }, running(t))
	probes := wire.Probes(t, "v2-websocket-probes")
	s := &session{machine: m, Recording: wire.Recording{Name: "v2-ps", Server: "v2", Argv: []string{"convox", "ps"}}, ids: map[string]string{}}
	for _, p := range probes {
		s.Exchanges = append(s.Exchanges, p.Exchange)
	}
	s.seed()
	s.seedProcesses()
	listed := len(oddStreams)
	for _, p := range probes {
		if strings.Contains(p.About, "in the query (not read)") {
			continue // it goes on, so that there is no end to compare
		}
		why := oddStreams[p.About]
		if why != "" {
			listed--
		}
		d := s.probeStream(p)
		switch {
		case d != "" && why == "":
			t.Errorf("%s (-v2 rack +ours):\n%s", p.About, d)
		case d == "" && why != "":
			t.Errorf("%s is the same as on a v2 rack, although %s", p.About, why)
		}
	}
	if listed != 0 {
		t.Errorf("%d of the list were not probed", listed)
	}
}

// probeStream opens one and tells in what the answer differs.
func (s *session) probeStream(p wire.Probe) string {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), "GET", s.url+s.mapped(p.Target()), nil)
	s.must(err)
	for name, value := range p.Headers {
		r.Header.Set(name, strings.Replace(value, "127.0.0.1:PORT", s.host, 1))
	}
	if strings.HasSuffix(p.Path, "/exec") && p.Headers["Height"] == "" {
		r.Header.Set("Tty", "false") // the probes asked for a terminal, by saying nothing of it, and the recorded rack has none
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	s.must(err)
	defer resp.Body.Close()
	if resp.StatusCode != p.Status || p.Status != http.StatusSwitchingProtocols {
		return cmp.Diff(p.Status, resp.StatusCode)
	}
	conn := resp.Body.(io.ReadWriter)
	var said, got spoken
	for _, f := range p.Frames {
		if f.Dir == "server" {
			said.add(opcodes[f.Type], f.Payload)
			continue
		}
		if said.ended() {
			break // what a probe says after the end is not answered
		}
		got.until(conn, func() bool { return got.length() >= said.length() })
		op := opcodes[f.Type]
		if f.Fin {
			op |= 0x80
		}
		payload := latin1(f.Payload)
		_, err := conn.Write(append([]byte{op, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)) // masked with zeros
		s.must(err)
	}
	got.until(conn, func() bool { return false })
	return cmp.Diff(said, got)
}

// latin1 is the bytes of a recorded payload, each of which stands as a character.
func latin1(text string) (b []byte) {
	for _, r := range text {
		b = append(b, byte(r))
	}
	return b
}

// spoken is what a server said: texts, put together where they follow each
// other, and what else there was.
type spoken []string

func (s *spoken) add(op byte, payload string) {
	if op == opcodes["close"] {
		payload = "" // the reason was not recorded as it was
	}
	if op > 1 {
		*s = append(*s, fmt.Sprintf("opcode %d %q", op, payload))
		return
	}
	if n := len(*s); n > 0 && strings.HasPrefix((*s)[n-1], "text ") {
		(*s)[n-1] += payload
		return
	}
	*s = append(*s, "text "+payload)
}

// ended tells whether nothing more is to come.
func (s spoken) ended() bool {
	return len(s) > 0 && slices.ContainsFunc(s, func(line string) bool {
		return !strings.HasPrefix(line, "text ") && !strings.HasPrefix(line, "opcode 10 ")
	})
}

// length is how much was said.
func (s spoken) length() int { return len(strings.Join(s, "")) }

// until takes what comes, up to the end or until it is enough.
func (s *spoken) until(from io.Reader, enough func() bool) {
	for !s.ended() && !enough() {
		if err := s.hear(from); err != nil {
			*s = append(*s, err.Error())
		}
	}
}

// hear takes the next frame.
func (s *spoken) hear(from io.Reader) error {
	var h [2]byte
	if _, err := io.ReadFull(from, h[:]); err != nil {
		return err
	}
	length := int(h[1])
	if length == 126 {
		var l [2]byte
		if _, err := io.ReadFull(from, l[:]); err != nil {
			return err
		}
		length = int(binary.BigEndian.Uint16(l[:]))
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(from, payload); err != nil {
		return err
	}
	s.add(h[0]&0x0f, string(payload))
	return nil
}
