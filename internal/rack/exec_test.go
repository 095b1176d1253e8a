package rack_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// streaming is a rack whose every request is a stream, as frames.
func streaming(t *testing.T, stream func(*socket)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { stream(upgrade(t, w, r)) })
}

// TestExecEnds: each way that a rack has to end a command.
func TestExecEnds(t *testing.T) {
	const code = rack.ExitPrefix
	closed := func(s *socket) { s.frame(opClose, true, "\x03\xe8"); s.wait() }
	for _, test := range []struct {
		name   string
		stream func(*socket)
		status int
		wrong  string // "": none
		ended  bool   // by the rack
		out    string
	}{
		{"well", func(s *socket) { s.text("hi\n"); s.text(code + "0\n"); s.end() }, 0, "", false, "hi\n"},
		{"in one message", func(s *socket) { s.text("hi" + code + "3\n"); s.end() }, 3, "", false, "hi"},
		{"in pieces", func(s *socket) {
			s.text("hi" + code[:9])
			s.frame(opText, false, code[9:])
			s.frame(opContinuation, true, "7")
			s.text("\n")
			s.end()
		}, 7, "", false, "hi"},
		{"negative", func(s *socket) { s.text(code + "-1\n"); s.end() }, 255, "", false, ""},
		{"marked by any binary message", func(s *socket) { s.text(code + "4\n"); s.frame(opBinary, true, "x"); s.wait() }, 4, "", false, ""},
		{"closed after the status", func(s *socket) { s.text(code + "5\n"); closed(s) }, 5, "", false, ""},
		{"closed", func(s *socket) { s.text("hi"); closed(s) }, 0, "status = StatusNormalClosure", false, "hi"},
		{"cut", func(s *socket) { s.text("hi"); s.cut() }, 0, "the stream broke off", false, "hi"},
		{"without a status", func(s *socket) { s.text("hi"); s.end() }, 0, "its output ended without one", true, "hi"},
		{"refused", func(s *socket) { s.text("ERROR: no right\n"); s.end() }, 0, "no right", true, "ERROR: no right\n"},
		{"refused with a status", func(s *socket) { s.text(code + "0\n"); s.text("ERROR: bad command\n"); s.end() }, 0, "bad command", true, ""},
		{"output that looks like the end", func(s *socket) { s.text(code + "0\n"); s.text("x\n"); s.text(code + "6\n"); s.end() }, 6, "", false, code + "0\nx\n"},
	} {
		bubble(t, test.name, func(t *testing.T) {
			c, _ := client(t, streaming(t, test.stream))
			var out strings.Builder
			status, err := c.Exec(t.Context(), "web", "P", rack.ExecOptions{Command: "x", Output: &out})
			var none *rack.NoStatusError
			errors.As(err, &none)
			if status != test.status || (err != nil) != (test.wrong != "") || err != nil && (none == nil || none.Ended != test.ended || !strings.Contains(err.Error(), test.wrong)) {
				t.Errorf("%d, %v", status, err)
			}
			if out.String() != test.out {
				t.Errorf("printed %q, want %q", out.String(), test.out)
			}
		})
	}
}

// taken is the input of a command as it came.
type taken struct {
	sizes  []int
	text   strings.Builder
	header http.Header
}

// taking is a rack whose command does something else for a time and then reads
// all its input.
func taking(t *testing.T, busy time.Duration, got *taken) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.header = r.Header
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.CloseNow()
		time.Sleep(busy)
		for {
			kind, p, err := conn.Read(r.Context())
			if err != nil {
				t.Error(err)
				return
			}
			if kind == websocket.MessageBinary {
				break
			}
			got.sizes = append(got.sizes, len(p))
			got.text.Write(p)
		}
		conn.Write(r.Context(), websocket.MessageText, []byte(rack.ExitPrefix+"0\n"))
		conn.Write(r.Context(), websocket.MessageBinary, nil)
		conn.Read(r.Context()) // until the client closes
	})
}

// TestExecSendsInput: in the pieces of the official clients, with its end, and
// however long the command takes.
func TestExecSendsInput(t *testing.T) {
	text := strings.Repeat("input ", 900)
	for _, busy := range []time.Duration{0, 10 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			var got taken
			c, _ := client(t, taking(t, busy, &got))
			status, err := c.Exec(t.Context(), "web", "P", rack.ExecOptions{Command: "cat", Entrypoint: true, Input: strings.NewReader(text), Output: io.Discard})
			if status != 0 || err != nil || got.text.String() != text {
				t.Errorf("after %s: %d, %v, %d bytes", busy, status, err, got.text.Len())
			}
			for _, n := range got.sizes {
				if n > 1024 {
					t.Errorf("a piece of %d bytes", n)
				}
			}
			if got.header.Get("Tty") != "false" || got.header.Get("Entrypoint") != "true" || got.header.Get("Command") != "cat" {
				t.Errorf("told %v", got.header)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		var got taken
		c, _ := client(t, taking(t, 0, &got))
		status, err := c.Exec(t.Context(), "web", "P", rack.ExecOptions{Command: "cat", Output: io.Discard})
		if status != 0 || err != nil || len(got.sizes) > 0 || got.header.Get("Entrypoint") != "" {
			t.Errorf("without input: %d, %v, %v", status, err, got.sizes)
		}
	})
}

// TestExecIsRefused: before the stream was opened, and while nobody waits any
// more.
func TestExecIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := client(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, 403, "not for this key") }))
		if _, err := c.Exec(t.Context(), "web", "P", rack.ExecOptions{Output: io.Discard}); !errors.Is(err, rack.ErrForbidden) {
			t.Error(err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		over := errors.New("over")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, over)
		defer cancel()
		c, _ := client(t, streaming(t, func(s *socket) { s.wait() }))
		if _, err := c.Exec(ctx, "web", "P", rack.ExecOptions{Output: io.Discard}); !errors.Is(err, over) {
			t.Error(err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("full")
		r, w := io.Pipe()
		r.CloseWithError(full)
		c, _ := client(t, streaming(t, func(s *socket) { s.text("hi"); s.wait() }))
		var none *rack.NoStatusError
		if _, err := c.Exec(t.Context(), "web", "P", rack.ExecOptions{Output: w}); !errors.Is(err, full) || errors.As(err, &none) {
			t.Error(err)
		}
	})
}
