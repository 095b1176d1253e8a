package rack_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// theLog has lines that look like the faults of a rack, characters of several
// bytes, and an end without a line break.
const theLog = "Building: .\n#1 ünïcödé €\nERROR: of a step that may fail\nE\nERROR: twice\nRunning: docker push\ndone"

// messages are theLog as a rack may send it.
var messages = strings.SplitAfter(theLog, "\n")

// bubble runs a test with fake time.
func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { t.Helper(); synctest.Test(t, f) })
}

func sendAll(s *socket) {
	for _, m := range messages {
		s.text(m)
	}
}

// cutAt sends theLog in messages and breaks off after so many of its bytes,
// within a frame if that is where they end.
func cutAt(s *socket, bytes int) {
	for _, m := range messages {
		if bytes < len(m) {
			s.conn.Write(append(head(opText, true, len(m)), m[:bytes]...))
			break
		}
		s.text(m)
		bytes -= len(m)
	}
	s.cut()
}

func TestLogIsWholeWhereverAStreamBreaks(t *testing.T) {
	for at := 0; at <= len(theLog); at++ {
		bubble(t, fmt.Sprint(at), func(t *testing.T) {
			watch(t.Context(), t, &stage{record: completeAfter(20 * time.Second), stream: func(n int, s *socket) {
				if n == 1 {
					cutAt(s, at)
					return
				}
				sendAll(s)
				s.end()
			}}, nil).complete(t, theLog)
		})
	}
}

func TestLogIsWholeIfEveryStreamBreaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := watch(t.Context(), t, &stage{record: completeAfter(10 * time.Minute), stream: func(n int, s *socket) {
			if n <= len(theLog) {
				cutAt(s, n)
				return
			}
			sendAll(s)
			s.end()
		}}, nil)
		got.complete(t, theLog)
		if len(got.said) == 0 || !strings.Contains(got.said[0], "log of B: the stream broke off; opening it again") {
			t.Errorf("said %q", got.said)
		}
	})
}

// What an ended build's log has too little of comes from the stored log, even if
// that takes several streams.
func TestStoredLogIsWholeIfEveryStreamBreaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		watch(t.Context(), t, &stage{record: completeAfter(0), stream: func(n int, s *socket) { cutAt(s, n) }}, nil).complete(t, theLog)
	})
}

func TestForms(t *testing.T) {
	for name, stream := range map[string]func(int, *socket){
		"one message": whole(theLog),
		"a message for each line": func(_ int, s *socket) {
			sendAll(s)
			s.end()
		},
		"a message for each byte": func(_ int, s *socket) {
			for i := range len(theLog) {
				s.text(theLog[i : i+1])
			}
			s.end()
		},
		"fragments": func(_ int, s *socket) {
			for _, m := range messages {
				s.frame(opText, false, m[:1])
				s.frame(opPing, true, "between fragments")
				s.frame(opContinuation, false, m[1:])
				s.frame(opContinuation, true, "")
			}
			s.end()
		},
		"empty messages": func(_ int, s *socket) {
			for _, m := range messages {
				s.text("")
				s.text(m)
				s.frame(opText, false, "")
				s.frame(opContinuation, true, "")
			}
			s.end()
		},
		"an end with something in it": func(_ int, s *socket) {
			sendAll(s)
			s.frame(opBinary, true, "not log")
			s.wait()
		},
		"an end in fragments": func(_ int, s *socket) {
			sendAll(s)
			s.frame(opBinary, false, "not log")
			s.wait()
		},
		"an end and a closed connection": func(_ int, s *socket) {
			sendAll(s)
			s.frame(opBinary, true, "")
			s.cut()
		},
		"an end and a close frame": func(_ int, s *socket) {
			sendAll(s)
			s.frame(opBinary, true, "")
			s.frame(opClose, true, "\x03\xe8")
			s.wait()
		},
	} {
		bubble(t, name, func(t *testing.T) {
			got := watch(t.Context(), t, &stage{record: completeAfter(0), stream: stream}, nil)
			got.complete(t, theLog)
			if len(got.said) > 0 || got.took > time.Second {
				t.Errorf("took %s, said %q", got.took, got.said)
			}
		})
	}
}

// Only the marker is an end: whatever else ends a stream, the log is not over.
func TestStreamThatEndsWithoutAMarker(t *testing.T) {
	for name, end := range map[string]func(*socket){
		"closed":        (*socket).cut,
		"a close frame": func(s *socket) { s.frame(opClose, true, "\x03\xe8"); s.wait() },
		"nonsense":      func(s *socket) { s.frame(0x7f, true, ""); s.wait() },
		"half a head":   func(s *socket) { s.conn.Write([]byte{0x81}); s.cut() },
	} {
		bubble(t, name, func(t *testing.T) {
			got := watch(t.Context(), t, &stage{record: completeAfter(time.Minute), stream: func(n int, s *socket) {
				s.text(messages[0])
				if n < 3 {
					end(s)
					return
				}
				for _, m := range messages[1:] {
					s.text(m)
				}
				s.end()
			}}, nil)
			got.complete(t, theLog)
			if len(got.said) != 2 {
				t.Errorf("said %q", got.said)
			}
		})
	}
}

func TestRefusedStreamIsNotLog(t *testing.T) {
	refuse := func(s *socket) {
		s.text("ERROR: unable to read logs\x1b[2J for build: B\n")
		s.end()
	}
	bubble(t, "then the log", func(t *testing.T) {
		got := watch(t.Context(), t, &stage{record: completeAfter(time.Minute), stream: func(n int, s *socket) {
			if n <= 3 {
				refuse(s)
				return
			}
			whole(theLog)(n, s)
		}}, nil)
		got.complete(t, theLog)
		if len(got.said) != 2 || got.said[0] != "log of B: refused by the rack: unable to read logs[2J for build: B; opening it again" {
			t.Errorf("said %q", got.said)
		}
	})
	bubble(t, "in fragments", func(t *testing.T) {
		watch(t.Context(), t, &stage{record: completeAfter(time.Minute), stream: func(n int, s *socket) {
			if n <= 3 {
				s.frame(opText, false, "ERR")
				s.frame(opContinuation, false, "OR: no such")
				s.frame(opContinuation, true, "\n")
				s.end()
				return
			}
			whole(theLog)(n, s)
		}}, nil).complete(t, theLog)
	})
	bubble(t, "cut before its end", func(t *testing.T) {
		watch(t.Context(), t, &stage{record: completeAfter(time.Minute), stream: func(n int, s *socket) {
			if n <= 3 {
				s.text("ERROR: no such build\n")
				s.cut()
				return
			}
			whole(theLog)(n, s)
		}}, nil).complete(t, theLog)
	})
	bubble(t, "for a long build not every second", func(t *testing.T) {
		s := &stage{record: completeAfter(30 * time.Minute), stream: func(n int, s *socket) { refuse(s) }}
		got := watch(t.Context(), t, s, nil)
		if got.build.Status != rack.BuildComplete || len(got.said) > 150 {
			t.Errorf("%s, opened %d times", got.build.Status, len(got.said))
		}
	})
	bubble(t, "but it is if the build has ended and there is nothing else", func(t *testing.T) {
		watch(t.Context(), t, &stage{record: completeAfter(0), stream: whole("ERROR: parse manifest: line 1\n")}, nil).
			complete(t, "ERROR: parse manifest: line 1\n")
	})
}

// A rack may report a fault of its own after output. As log it would stand for
// as many bytes of the real one.
func TestFaultAfterOutputIsNotLog(t *testing.T) {
	bubble(t, "then the log", func(t *testing.T) {
		watch(t.Context(), t, &stage{record: completeAfter(time.Minute), stream: func(n int, s *socket) {
			if n > 1 {
				whole(theLog)(n, s)
				return
			}
			s.text(messages[0])
			s.text("ERROR: lost the connection to the builder\n")
			s.end()
		}}, nil).complete(t, theLog)
	})
	const failed = "Building: .\nERROR: exit status 1\n"
	last := func(n int, s *socket) {
		s.text("Building: .\n")
		s.text("ERROR: exit status 1\n")
		s.end()
	}
	bubble(t, "the last words of the build are", func(t *testing.T) {
		watch(t.Context(), t, &stage{record: completeAfter(3 * time.Second), stream: last}, nil).complete(t, failed)
	})
	bubble(t, "even if the stored log cannot be had", func(t *testing.T) {
		watch(t.Context(), t, &stage{record: completeAfter(500 * time.Millisecond), stream: last, shake: func(n int, w http.ResponseWriter) bool {
			if n > 1 {
				answer(w, 503, "")
			}
			return n > 1
		}}, nil).complete(t, failed)
	})
}

func TestLargeMessages(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 20<<16) // 20 MiB
	synctest.Test(t, func(t *testing.T) {
		got := watch(t.Context(), t, &stage{record: completeAfter(0), stream: whole(big)}, nil)
		if got.out != big || len(got.said) > 0 {
			t.Errorf("%d bytes of %d, said %q", len(got.out), len(big), got.said)
		}
	})
}

// Balancers cut connections on which nothing crosses, for a minute mostly.
func TestSilentStreamIsKeptOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silence := make(chan int64, 9)
		s := &stage{record: completeAfter(10 * time.Minute), stream: func(n int, s *socket) {
			s.text(messages[0])
			if n == 1 {
				silence <- s.wait()
				return
			}
			for _, m := range messages[1:] {
				s.text(m)
			}
			s.end()
		}}
		watch(t.Context(), t, s, nil).complete(t, theLog)
		// A ping is two bytes of head, four of mask, and its number.
		if n := <-silence; len(s.opened) != 2 || n < 10*7 {
			t.Errorf("opened %d times, %d bytes crossed", len(s.opened), n)
		}
	})
}

func TestLog(t *testing.T) {
	bubble(t, "of an ended build", func(t *testing.T) {
		s := &stage{t: t, record: completeAfter(0), stream: whole(theLog)}
		c, said := client(t, s)
		var out safeBuffer
		err := c.Log(t.Context(), "web", "B", &out)
		if err != nil || out.String() != theLog || len(s.opened) != 1 || len(said.all()) > 0 {
			t.Errorf("got %q, %v, over %d streams, said %q", &out, err, len(s.opened), said.all())
		}
	})
	bubble(t, "of a running build", func(t *testing.T) {
		s := &stage{t: t, begun: time.Now(), record: completeAfter(time.Minute), stream: func(n int, s *socket) {
			if n == 1 {
				cutAt(s, 20)
				return
			}
			whole(theLog)(n, s)
		}}
		c, _ := client(t, s)
		var out safeBuffer
		if err := c.Log(t.Context(), "web", "B", &out); err != nil || out.String() != theLog || time.Since(s.begun) < time.Minute {
			t.Errorf("got %q, %v", &out, err)
		}
	})
	bubble(t, "that never comes", func(t *testing.T) {
		s := &stage{t: t, record: completeAfter(0), stream: func(_ int, s *socket) { s.wait() }}
		c, _ := client(t, s)
		begun := time.Now()
		if err := c.Log(t.Context(), "web", "B", &safeBuffer{}); err == nil || time.Since(begun) > time.Minute {
			t.Errorf("got %v after %s", err, time.Since(begun))
		}
	})
	bubble(t, "of no build", func(t *testing.T) {
		s := &stage{t: t, record: func(_ time.Duration, w http.ResponseWriter) { answer(w, 500, `builds.convox.com "b" not found`) }}
		c, _ := client(t, s)
		if err := c.Log(t.Context(), "web", "B", &safeBuffer{}); err == nil || len(s.opened) > 0 {
			t.Errorf("got %v, %d streams", err, len(s.opened))
		}
	})
}

// However the streams of a log are cut and put into messages, what comes out is
// the log.
func FuzzTail(f *testing.F) {
	f.Add(theLog, []byte{5, 0, 200, 1})
	f.Add("ERROR: only this\n", []byte{3})
	f.Add("E", []byte{})
	f.Add("ERROR: a\nERROR: b\n", []byte{9, 9, 9, 130, 0})
	f.Fuzz(func(t *testing.T, log string, cuts []byte) {
		if len(log) > 1<<10 || len(cuts) > 8 {
			t.Skip()
		}
		synctest.Test(t, func(t *testing.T) {
			watch(t.Context(), t, &stage{record: completeAfter(time.Minute), stream: func(n int, s *socket) {
				pieces(s, log, cuts, n)
			}}, nil).complete(t, log)
		})
	})
}

// pieces sends a log in messages whose lengths come from cuts. The nth stream
// breaks after n messages; the one after the last cut is whole.
func pieces(s *socket, log string, cuts []byte, n int) {
	for i, c := range cuts {
		if i == n {
			s.cut()
			return
		}
		size := min(int(c&0x7f), len(log))
		if c&0x80 != 0 { // in two frames
			s.frame(opText, false, log[:size/2])
			s.frame(opContinuation, true, log[size/2:size])
		} else {
			s.text(log[:size])
		}
		log = log[size:]
	}
	if len(cuts) > n {
		s.cut()
		return
	}
	s.text(log)
	s.end()
}
