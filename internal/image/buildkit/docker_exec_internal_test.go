package buildkit

import (
	"bufio"
	"encoding/binary"
	"io"
	"strings"
	"testing"
)

func saying(frames string) *attached {
	return &attached{upgraded: &upgraded{r: bufio.NewReader(strings.NewReader(frames))}, what: "it"}
}

func frame(stream byte, text string) string {
	head := make([]byte, frameHead)
	head[0] = stream
	binary.BigEndian.PutUint32(head[4:], uint32(len(text)))
	return string(head) + text
}

func TestFrames(t *testing.T) {
	long := strings.Repeat("x", 3*maxAnswer)
	for _, c := range []struct{ name, frames, want, fault string }{
		{"nothing", "", "", ""},
		{"output", frame(streamOut, "\x00a") + frame(streamOut, "") + frame(streamOut, "bc"), "\x00abc", ""},
		{"more than is read at once", frame(streamOut, "\x00"+long), "\x00" + long, ""},
		{"warnings between", frame(streamErr, "w") + frame(streamOut, "\x00a") + frame(streamErr, long) + frame(streamOut, "b") + frame(streamErr, "w"), "\x00ab", ""},
		{"errors alone", frame(streamErr, "no\n") + frame(streamErr, " socket\n"), "", "it: no socket"},
		{"not run", frame(streamOut, "OCI runtime exec\r\nfailed"), "", "it: OCI runtime exec failed"},
		{"cut off", frame(streamOut, "\x00abc")[:frameHead+2], "\x00a", "EOF"},
		{"cut off in a head", frame(streamOut, "\x00a") + "\x01\x00", "\x00a", "unexpected EOF"},
		{"cut off in an error", frame(streamErr, "abc")[:frameHead+1], "", "EOF"},
		{"no frames", "HTTP/1.1 200 OK\r\n", "", "it: what Docker says of it is not understood"},
	} {
		got, err := io.ReadAll(saying(c.frames))
		if string(got) != c.want {
			t.Errorf("%s: %d bytes %.20q", c.name, len(got), got)
		}
		if fault := c.fault; fault != "EOF" && (err == nil) != (fault == "") || err != nil && err.Error() != fault {
			t.Errorf("%s: error %v, want %q", c.name, err, fault)
		}
	}
}

// FuzzFrames reads whatever Docker may answer: what comes out was there, and it ends.
func FuzzFrames(f *testing.F) {
	f.Add([]byte(frame(streamErr, "w") + frame(streamOut, "\x00a") + frame(streamOut, "b")))
	f.Add([]byte(frame(streamOut, "OCI")))
	f.Add([]byte("\x02\x00\x00\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, frames []byte) {
		got, err := io.ReadAll(saying(string(frames)))
		if len(got) > len(frames) || err != nil && len(err.Error()) > 2*maxAnswer {
			t.Errorf("of %d bytes %d came out, error %v", len(frames), len(got), err)
		}
	})
}
