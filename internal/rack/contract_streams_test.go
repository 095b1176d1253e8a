package rack_test

import (
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/wire"
)

// TestContractStreamProbes has the client read what servers said on the streams
// they were probed with, whatever the probe had asked for.
func TestContractStreamProbes(t *testing.T) {
	for _, server := range []string{"v2", "v3"} {
		record := last(wire.Load(t, server+"-builds-info")).Body
		for _, p := range wire.Probes(t, server+"-websocket-probes") {
			read := map[string]func(*testing.T, *rack.Client, wire.Probe){
				"builds": readBuildLog, "logs": readAppLog, "processes": readCommand,
			}[strings.Split(p.Path, "/")[3]]
			switch {
			case read == nil:
				t.Errorf("%s: %s", p.About, p.Path)
			case strings.Contains(p.About, "in the query"), strings.Contains(p.About, "close frame"):
				continue // it had not ended when the probe left
			}
			bubble(t, server+" "+p.About, func(t *testing.T) {
				c, _ := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch {
					case r.Header.Get("Upgrade") == "":
						w.Write([]byte(record))
					case p.Status != http.StatusSwitchingProtocols:
						w.WriteHeader(p.Status)
						w.Write([]byte(p.Body))
					default:
						speak(upgrade(t, w, r), p)
					}
				}))
				read(t, c, p)
			})
		}
	}
}

// speak says what the server of a probe did.
func speak(s *socket, p wire.Probe) {
	for _, f := range p.Frames {
		if f.Dir == "server" && f.Type != "pong" {
			s.frame(opcodes[f.Type], f.Fin, f.Payload)
		}
	}
	if strings.HasPrefix(p.Closed, "server") {
		s.cut()
		return
	}
	s.wait()
}

// readBuildLog takes the words of a rack for the log where there is no other:
// the record, which is read first, says that there is one.
func readBuildLog(t *testing.T, c *rack.Client, p wire.Probe) {
	var out safeBuffer
	err := c.Log(t.Context(), "myapp", strings.Split(p.Path, "/")[4], &out)
	var e *rack.Error
	if refused := p.Status >= 400; refused != errors.As(err, &e) || refused && (e.Status != p.Status || e.Message != strings.TrimSpace(p.Body)) {
		t.Errorf("error is %v, of %d %q", err, p.Status, p.Body)
	}
	if want := logOf(p.Exchange); out.String() != want {
		t.Errorf("log is %q, want %q", &out, want)
	}
}

func readAppLog(t *testing.T, c *rack.Client, p wire.Probe) {
	var out safeBuffer
	err := c.AppLog(t.Context(), strings.Split(p.Path, "/")[2], rack.LogOptions{}, &out)
	said := logOf(p.Exchange)
	if words, fault := strings.CutPrefix(said, "ERROR: "); fault {
		wantKind(t, err, nil, words)
	} else if err != nil {
		t.Error(err)
	}
	if out.String() != said {
		t.Errorf("log is %q, want %q", &out, said)
	}
}

// ending is how a recorded command ended: the code, and what the rack could not
// do behind it.
var ending = regexp.MustCompile(`(?:` + regexp.QuoteMeta(rack.ExitPrefix) + `([0-9]+)\n)?(?:ERROR: (.*)\n)?$`)

func readCommand(t *testing.T, c *rack.Client, p wire.Probe) {
	var out safeBuffer
	status, err := c.Exec(t.Context(), "myapp", strings.Split(p.Path, "/")[4], rack.ExecOptions{Output: &out})
	said := logOf(p.Exchange)
	m := ending.FindStringSubmatch(said)
	var none *rack.NoStatusError
	switch {
	case m[2] != "":
		if !errors.As(err, &none) || !none.Ended || none.Err.Error() != m[2] {
			t.Errorf("error is %v, want %s", err, m[2])
		}
	case m[1] == "":
		if !errors.As(err, &none) || none.Ended {
			t.Errorf("error is %v, where the stream broke", err)
		}
	case err != nil || strconv.Itoa(status) != m[1]:
		t.Errorf("status %d, %v, want %s", status, err, m[1])
	}
	if want := strings.TrimSuffix(said, m[0]); m[2] == "" && out.String() != want {
		t.Errorf("output is %q, want %q", &out, want)
	}
}
