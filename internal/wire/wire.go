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
	"io/fs"
	"path"
	"strings"
	"testing"
)

//go:embed testdata/*.json
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

// Names lists the recordings.
func Names() []string {
	files, _ := fs.Glob(testdata, "testdata/*.json") // the pattern is right and the files are in the binary
	for i, f := range files {
		files[i] = strings.TrimSuffix(path.Base(f), ".json")
	}
	return files
}

// Load gives the recording of that name and ends the test if there is none.
func Load(t testing.TB, name string) Recording {
	t.Helper()
	data, err := testdata.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var r Recording
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return r
}
