package rack_test

import (
	"encoding/binary"
	"io"
	"net/http"
	"strings"

	"github.com/convox-ci/convox-ci/internal/wire"
)

// opcodes are those of recorded frames.
var opcodes = map[string]byte{"text": opText, "binary": opBinary, "continuation": opContinuation, "ping": opPing, "close": opClose}

// talk says the recorded frames of a stream in their order, and wants the client
// to say its own in between. What it had said after the end it may leave unsaid.
func (p *replay) talk(w http.ResponseWriter, r *http.Request, e wire.Exchange) {
	conn, from := handshake(p.t, w, r)
	defer conn.Close()
	s := &socket{conn: conn}
	ended := false
	for _, f := range e.Frames {
		switch {
		case f.Dir == "server":
			s.frame(opcodes[f.Type], f.Fin, f.Payload)
			ended = ended || f.Type == "binary"
		case f.Type == "text" || f.Type == "binary":
			op, payload, err := heard(from)
			if err != nil && ended {
				return
			}
			if err != nil || op != opcodes[f.Type] || payload != f.Payload {
				p.t.Errorf("%s: frame %d with %q, %v, recorded %s with %q", e.Path, op, payload, err, f.Type, f.Payload)
				return
			}
		}
	}
	if !strings.HasPrefix(e.Closed, "server") {
		io.Copy(io.Discard, from) // until the client leaves
	}
}

// heard is the next message of a client, which is one frame, masked; pings are
// passed over. RFC 6455, section 5.2.
func heard(from io.Reader) (op byte, payload string, err error) {
	for {
		var h [2]byte
		if _, err := io.ReadFull(from, h[:]); err != nil {
			return 0, "", err
		}
		length := int(h[1] & 0x7f)
		if length == 126 {
			var l [2]byte
			if _, err := io.ReadFull(from, l[:]); err != nil {
				return 0, "", err
			}
			length = int(binary.BigEndian.Uint16(l[:]))
		}
		p := make([]byte, 4+length)
		if _, err := io.ReadFull(from, p); err != nil {
			return 0, "", err
		}
		for i := range length {
			p[4+i] ^= p[i%4]
		}
		if op = h[0] & 0x0f; op != opPing {
			return op, string(p[4:]), nil
		}
	}
}
