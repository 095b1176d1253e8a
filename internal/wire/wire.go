// Package wire has recordings of what the official Convox command line clients
// and official Rack API servers said to each other, for contract tests of either
// end. All credentials, hosts and names in them are made up.
//
// A recording is one run of a client. Of polls that were answered as before
// only the first is kept.
package wire

import (
	"embed"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

//go:embed testdata
var testdata embed.FS

// Recording is one run of a client.
type Recording struct {
	Name      string   // generation of the client and what was done: v2-build
	CLI       string   // generation of the client: v2 or v3
	Argv      []string // of the client
	Mode      string   // console: by way of an emulated console; direct: straight to the rack
	Server    string   // generation of the rack: v2 or v3
	ExitCode  int
	Stdout    string
	Stderr    string
	Exchanges []Exchange
}

// Exchange is one request and its answer.
type Exchange struct {
	Method          string
	Path            string
	Query           string              // without the question mark, which is always sent
	Headers         map[string]string   // of the request
	Form            map[string][]string // its body, if that was a form
	Tar             []Entry             // its body, if that was a tar.gz; the answer's, if that was one
	BodyBytes       int                 // length of its body
	Status          int
	ResponseHeaders map[string]string
	Body            string  // of the answer
	AnsweredBy      string  // Rack or Console
	Frames          []Frame // of a WebSocket, in both directions in order of time
	Closed          string  // who ended the WebSocket, in words; "" if there was none
}

// Who answered an [Exchange]. What a console answers was emulated from what the
// clients expect: it is no evidence of a real one.
const (
	Rack    = "rack"
	Console = "console emulation"
)

// Entry is a file in an archive.
type Entry struct {
	Name string
	Type string // flag of the tar format: "0" file, "1" hard link, "2" symbolic link, "5" directory
	Mode string // octal
	Size int64
	Link string
}

// Frame is one frame of a WebSocket.
type Frame struct {
	Dir     string // client or server: who sent it
	Type    string // text, binary or ping
	Payload string
	Fin     bool
}

// Target is what stood in the request line: clients send the question mark
// with an empty query too.
func (e Exchange) Target() string { return e.Path + "?" + e.Query }

// End is the end of a connection that a recording is replayed against.
type End string

// The ends.
const (
	Client End = "client"
	Server End = "server"
)

// Listed is an entry of the list of all that was recorded.
type Listed struct {
	Name    string
	Ends    []End  // that it is replayed against
	LeftOut string // why an end is missing; "" if none is
}

// All lists all that was recorded, with what is replayed of it and why the rest
// is not.
func All() []Listed {
	text, _ := testdata.ReadFile("testdata/recordings.txt") // it is in the binary
	var all []Listed
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		ends, why, _ := strings.Cut(rest, " ")
		r := Listed{Name: name, LeftOut: why}
		switch ends {
		case "both":
			r.Ends = []End{Client, Server}
		case "client", "server":
			r.Ends = []End{End(ends)}
		}
		all = append(all, r)
	}
	return all
}

// Names lists the recordings that are replayed against an end, without probes.
func Names(end End) []string {
	var names []string
	for _, r := range All() {
		if slices.Contains(r.Ends, end) && !strings.HasPrefix(r.Name, "server-") {
			names = append(names, r.Name)
		}
	}
	return names
}

// Load gives the recording of that name and ends the test if there is none.
func Load(t testing.TB, name string) Recording {
	t.Helper()
	var r Recording
	load(t, name, &r)
	return r
}

func load(t testing.TB, name string, into any) {
	t.Helper()
	data, err := testdata.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// Probe is a request that no client made: it was to show what a server does.
type Probe struct {
	About string // what it is to show, in words
	Exchange
	Sent string // its body; "" also where that was too large to keep
}

// Probes gives the requests that a server of a generation was probed with, in
// their order, since each changes what the next one finds. Those of streams are
// told from others by their name: v2-probes and v2-websocket-probes.
func Probes(t testing.TB, name string) []Probe {
	t.Helper()
	var r struct{ Probes []Probe }
	load(t, "server-"+name, &r)
	return r.Probes
}
